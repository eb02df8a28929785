//! Spinning: the thread parks later.

use std::{
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use prism_tokio::{Connection, Handler, Message, Server, Socket, connect, spin};
use tokio::{runtime::Builder, sync::oneshot};

/// Long enough that the pauses between messages are shorter.
const SPAN: Duration = Duration::from_millis(200);

const AT_MOST: Duration = Duration::from_secs(20);

struct Echo;

impl Handler for Echo {
    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        connection.send(message).await.expect("an open connection");
    }
}

/// Exchanges messages for longer than `SPAN`. Returns how often the thread parked after the first, or `None` if there
/// was a long pause.
async fn parks_while_busy(socket: &Socket, parks: &Receiver<()>) -> Option<usize> {
    let start = Instant::now();
    let mut last = start;
    for round in 0.. {
        socket.send("hello").await.expect("an open connection");
        socket.recv().await.expect("an echo");
        if last.elapsed() > SPAN / 2 {
            return None;
        }
        last = Instant::now();
        match round {
            0 => parks.try_iter().for_each(drop),
            _ if start.elapsed() > SPAN * 2 => break,
            _ => {}
        }
    }
    Some(parks.try_iter().count())
}

#[test]
fn a_thread_that_spins_parks_only_when_nothing_is_read() {
    let (park, parks) = channel();
    let (address, bound) = channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = thread::spawn(move || {
        let mut builder = Builder::new_current_thread();
        let on_park = move || park.send(()).expect("the test waits");
        let runtime = builder.enable_all().on_thread_park(on_park).build().expect("a runtime");
        runtime.block_on(async {
            tokio::spawn(spin(SPAN));
            let server = Server::bind("127.0.0.1:0").await.expect("a free port");
            address.send(server.local_addr().expect("bound")).expect("the test waits");
            server.websocket("/", Echo).serve_until(async { drop(stopped.await) }).await
        })
    });
    let url = format!("ws://{}/", bound.recv_timeout(AT_MOST).expect("a server"));
    parks.recv_timeout(AT_MOST).expect("it parks, because there is no connection");
    let client = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let socket = client.block_on(connect(&url)).expect("a connection");
    let parked = (0..20).find_map(|_| client.block_on(parks_while_busy(&socket, &parks)));
    assert_eq!(parked, Some(0), "or this machine is too busy for the test");
    parks.recv_timeout(AT_MOST).expect("it parks, because nothing more is read");
    drop((socket, client));
    drop(stop);
    serving.join().expect("no panic");
}

#[tokio::test]
async fn a_runtime_ends_while_it_spins() {
    let spinning = tokio::spawn(spin(Duration::MAX));
    tokio::task::yield_now().await;
    assert!(!spinning.is_finished());
    spinning.abort();
    assert!(spinning.await.expect_err("it was aborted").is_cancelled());
    tokio::spawn(spin(Duration::MAX)); // and this one is not
}

#[test]
fn each_runtime_of_a_thread_spins_as_long_as_it_should() {
    for span in [Duration::ZERO, Duration::MAX, Duration::ZERO] {
        let (park, parks) = channel();
        let mut builder = Builder::new_current_thread();
        let on_park = move || park.send(()).expect("the test waits");
        let runtime = builder.enable_all().on_thread_park(on_park).build().expect("a runtime");
        let parked = runtime.block_on(async {
            tokio::spawn(spin(span));
            let server = Server::bind("127.0.0.1:0").await.expect("a free port");
            let url = format!("ws://{}/", server.local_addr().expect("bound"));
            tokio::spawn(server.websocket("/", Echo).serve());
            let socket = connect(&url).await.expect("a connection");
            socket.send("hello").await.expect("an open connection");
            socket.recv().await.expect("an echo");
            parks.try_iter().count()
        });
        assert_eq!(parked == 0, span == Duration::MAX, "parked {parked} times");
    }
}
