use prism_tokio::{Route, Tokio, shared};

struct Chat;

fn route() -> Route<Tokio> {
    shared(Chat)
}

fn main() {}
