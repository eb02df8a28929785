use std::rc::Rc;

use prism_tokio::{Connection, Handler, Message};

struct Chat;

impl Handler for Chat {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let text = Rc::new(format!("{message:?}"));
        let _ = connection.send(text.as_str()).await;
    }
}

fn main() {}
