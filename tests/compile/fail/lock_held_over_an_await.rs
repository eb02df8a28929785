use std::sync::Mutex;

use prism_tokio::{Connection, Handler, Message};

struct Chat {
    people: Mutex<Vec<Connection>>,
}

impl Handler for Chat {
    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        for person in self.people.lock().unwrap().iter() {
            let _ = person.send(message).await;
        }
    }
}

fn main() {}
