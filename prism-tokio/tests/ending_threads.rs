//! A thread that ends while one of its thread-locals holds a runtime. Tokio would swallow a panic in the destructor of
//! a session.

use std::{
    cell::RefCell,
    future::pending,
    panic,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
};

use prism_tokio::{Connection, Handler, Message, Server, connect};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
};

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

/// Holds a message, and has more to send than the peer takes. Reports the end of the connection.
struct Busy {
    is_busy: Arc<Notify>,
    ended: Sender<()>,
}

impl Handler for Busy {
    async fn on_connect(&self, connection: &Connection) {
        let ended = self.ended.clone();
        connection.on_end(move || ended.send(()).expect("the test waits"));
    }

    async fn on_message(&self, connection: &Connection, _: Message<'_>) {
        connection.try_send(vec![7; 8 << 20]).expect("there is room");
        self.is_busy.notify_one();
        pending::<()>().await;
    }
}

/// Serves a connection until its handler is busy. All tasks go on with the runtime.
async fn serve_until_busy(ended: Sender<()>) {
    let is_busy = Arc::new(Notify::new());
    let server = Server::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("ws://{}/", server.local_addr().expect("a bound listener"));
    tokio::spawn(server.websocket("/", Busy { is_busy: is_busy.clone(), ended }).serve());
    let socket = connect(&url).await.expect("a connection");
    socket.send("hold this").await.expect("an open connection");
    is_busy.notified().await;
    tokio::spawn(async move {
        pending::<()>().await;
        drop(socket);
    });
}

#[test]
fn a_runtime_dropped_by_an_ending_thread_ends_its_connections() {
    let panics = Arc::new(AtomicUsize::new(0));
    let default = panic::take_hook();
    panic::set_hook(Box::new({
        let panics = panics.clone();
        move |info| {
            panics.fetch_add(1, Ordering::Relaxed);
            default(info);
        }
    }));
    let (ended, ends) = channel();
    let ending = thread::spawn(move || {
        RUNTIME.with_borrow(|_| ()); // initialized before Prism's thread-locals, and so dropped after them
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(serve_until_busy(ended));
        RUNTIME.set(Some(runtime));
    });
    ending.join().expect("no panic");
    assert_eq!(ends.iter().count(), 1);
    assert_eq!(panics.load(Ordering::Relaxed), 0);
}
