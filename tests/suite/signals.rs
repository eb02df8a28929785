//! A server's process that is asked to end, as by systemd, Kubernetes, or a hand on the keyboard: it
//! tells everybody, waits for them, and ends well.

use std::{
    env,
    sync::mpsc::{Receiver, channel},
};

use prism_tests::part::Part;
use rustix::process::Signal;

use super::support::{PATIENCE, alone::again, block_on, handlers::Echo};
use crate::{
    prism::{Client, Disconnect, Server},
    runtime::{asked_to_end, spawn},
};

/// Set in the process of the server.
const SERVER: &str = "PRISM_TESTS_SERVER";

const CLIENTS: usize = 100;

/// How many echoes each client has before the signal.
const ECHOES: usize = 10;

/// The server's process.
fn serve() {
    let asked = asked_to_end();
    let outcome = block_on(async {
        let server = Server::bind("127.0.0.1:0").await.expect("a free port");
        println!("listening on {}", server.local_addr().expect("a bound listener"));
        server.websocket("/", Echo).serve_until(asked).await
    });
    assert_eq!((outcome.closed, outcome.failed, outcome.cut), (CLIENTS, 0, 0));
}

/// Echoes for as long as there is a server; says when it has begun, and how it ended.
async fn talk(url: &str, begun: impl FnOnce()) -> Disconnect {
    let socket = Client::new(url).expect("an address").connect().await.expect("a server");
    let mut begun = Some(begun);
    for echoes in 1.. {
        // It fails as soon as the server has closed; what it said before that is still to be read.
        let _ = socket.send("are you there?").await;
        if let Err(ending) = socket.recv().await {
            return ending;
        }
        if echoes == ECHOES {
            begun.take().expect("this comes once")();
        }
    }
    unreachable!("the server ends")
}

/// Clients that talk without a pause; who has begun, and how they ended.
fn clients(url: &str) -> (Receiver<()>, Receiver<Disconnect>) {
    let ((begin, begun), (end, ended)) = (channel(), channel());
    for _ in 0..CLIENTS {
        let (url, begin, end) = (url.to_owned(), begin.clone(), end.clone());
        spawn(async move {
            // The scenario may have failed already.
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
    let server = Part::start(again(test).env(SERVER, "1"));
    let address = server.hear("listening on ");
    let (begun, ended) = clients(&format!("ws://{address}/"));
    for _ in 0..CLIENTS {
        begun.recv_timeout(PATIENCE).expect("each has its echoes");
    }
    server.signal(signal);
    for _ in 0..CLIENTS {
        let ending = ended.recv_timeout(PATIENCE).expect("each is told");
        assert!(matches!(ending, Disconnect::Peer { .. }), "{ending:?}");
        assert_eq!((ending.code(), ending.reason()), (1001, "the server is shutting down".into()));
    }
    let (said, status) = server.end().expect("the grace time is shorter than our patience");
    assert_eq!(status.code(), Some(0), "{status}: {said:?}");
}

#[test]
fn a_sigterm_under_load_is_a_shutdown_of_which_everybody_is_told() {
    let test = &a_sigterm_under_load_is_a_shutdown_of_which_everybody_is_told;
    ends_well_under_load(test, Signal::TERM);
}

#[test]
fn so_is_a_ctrl_c() {
    ends_well_under_load(&so_is_a_ctrl_c, Signal::INT);
}
