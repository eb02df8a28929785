//! A server process that receives a termination signal, as from systemd, Kubernetes or the
//! keyboard: it closes its connections, waits for them, and exits with status 0.

use std::{
    env,
    sync::mpsc::{Receiver, channel},
};

use prism_tests::subprocess::Subprocess;
use rustix::process::Signal;

use super::support::{TIMEOUT, block_on, handlers::Echo, own_process::rerun};
use crate::{
    prism::{Client, Disconnect, Server},
    runtime::{shutdown_signal, spawn},
};

/// Set in the server process.
const SERVER: &str = "PRISM_TESTS_SERVER";

const CLIENTS: usize = 100;

/// How many echoes each client gets before the signal.
const ECHOES: usize = 10;

/// Runs the server process.
fn serve() {
    let asked = shutdown_signal();
    let outcome = block_on(async {
        let server = Server::bind("127.0.0.1:0").await.expect("a free port");
        println!("listening on {}", server.local_addr().expect("a bound listener"));
        server.websocket("/", Echo).serve_until(asked).await
    });
    assert_eq!((outcome.closed, outcome.failed, outcome.cut), (CLIENTS, 0, 0));
}

/// Exchanges messages until the server closes. Calls `begun` after [`ECHOES`], and returns the
/// ending.
async fn talk(url: &str, begun: impl FnOnce()) -> Disconnect {
    let socket = Client::new(url).expect("an address").connect().await.expect("a server");
    let mut begun = Some(begun);
    for echoes in 1.. {
        // Fails once the server has closed. What the server sent before is still to be read.
        let _ = socket.send("are you there?").await;
        if let Err(ending) = socket.recv().await {
            return ending;
        }
        if echoes == ECHOES {
            begun.take().expect("the first and only call")();
        }
    }
    unreachable!("the server ends")
}

/// Runs clients that send without a pause. Returns a channel for their begins and one for their
/// endings.
fn clients(url: &str) -> (Receiver<()>, Receiver<Disconnect>) {
    let ((begin, begun), (end, ended)) = (channel(), channel());
    for _ in 0..CLIENTS {
        let (url, begin, end) = (url.to_owned(), begin.clone(), end.clone());
        spawn(async move {
            // Fails if the scenario is over.
            let ending = talk(&url, || {
                let _ = begin.send(());
            })
            .await;
            let _ = end.send(ending);
        });
    }
    (begun, ended)
}

#[track_caller]
fn ends_well_under_load(test: &impl Fn(), signal: Signal) {
    if env::var_os(SERVER).is_some() {
        return serve();
    }
    let server = Subprocess::start(rerun(test).env(SERVER, "1"));
    let address = server.wait_for_line("listening on ");
    let (begun, ended) = clients(&format!("ws://{address}/"));
    for _ in 0..CLIENTS {
        begun.recv_timeout(TIMEOUT).expect("every client gets its echoes");
    }
    server.signal(signal);
    for _ in 0..CLIENTS {
        let ending = ended.recv_timeout(TIMEOUT).expect("every client is closed");
        assert!(matches!(ending, Disconnect::Peer { .. }), "{ending:?}");
        assert_eq!((ending.code(), ending.reason()), (1001, "the server is shutting down".into()));
    }
    let (output, status) = server.finish().expect("the server ends within the grace period");
    assert_eq!(status.code(), Some(0), "{status}: {output:?}");
}

#[test]
fn sigterm_under_load_shuts_down_cleanly() {
    let test = &sigterm_under_load_shuts_down_cleanly;
    ends_well_under_load(test, Signal::TERM);
}

#[test]
fn sigint_under_load_shuts_down_cleanly() {
    ends_well_under_load(&sigint_under_load_shuts_down_cleanly, Signal::INT);
}
