use std::sync::{Arc, Mutex};

use prism_tokio::{Route, Tokio, socket};

fn route(names: Arc<Mutex<Vec<String>>>) -> Route<Tokio> {
    socket(move |socket| {
        let names = names.clone();
        async move {
            for name in names.lock().unwrap().iter() {
                let _ = socket.send(name).await;
            }
        }
    })
}

fn main() {}
