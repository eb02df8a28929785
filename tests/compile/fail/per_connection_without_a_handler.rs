use prism_tokio::{Route, Tokio, per_connection};

struct Player;

fn route() -> Route<Tokio> {
    per_connection(|_| Player)
}

fn main() {}
