//! Many connections at once, each busy: nothing is lost, reordered or doubled, and when they have gone
//! nothing of them is left.

use std::{
    iter,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
};

use fastrand::Rng;
use futures_lite::future::try_zip;

use super::support::{
    PATIENCE,
    alone::{allow_descriptors, alone, descriptors, heap, threads},
    block_on,
    handlers::Gate,
    server::{Running, serve_echo},
    short, wait_until,
};
use crate::{
    prism::{Client, ClientOptions, CloseCode, Disconnect, Options, ServerOptions, Socket},
    runtime::spawn,
};

const CROWD: usize = 5_000;
const MESSAGES: u32 = 20;

/// Twice the longest message. To roll each byte of each message would take most of the test's time.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut dice = Rng::with_seed(0);
    iter::repeat_with(|| dice.u8(..)).take(32 << 10).collect()
});

/// The message of this connection with this number: of a size that is its own, from nothing to 16
/// KiB, small ones being as likely as large ones.
fn message(connection: usize, number: u32) -> Vec<u8> {
    let mut dice = Rng::with_seed((connection as u64) << 8 | u64::from(number));
    let most = 1 << dice.u32(..15);
    let size = dice.usize(..most);
    let start = dice.usize(..16 << 10);
    let name = format!("{connection}/{number}: ");
    [name.as_bytes(), &BYTES[start..start + size]].concat()
}

/// Sends all messages, and expects each of them back, once and in order; and then closes.
async fn echo_all(socket: &Socket, connection: usize) -> Result<(), String> {
    let send = async {
        for number in 0..MESSAGES {
            let sent = socket.send(&message(connection, number)).await;
            sent.map_err(|error| format!("message {number}: {error}"))?;
        }
        Ok(())
    };
    let receive = async {
        for number in 0..MESSAGES {
            let returned = socket.recv().await;
            let returned = returned.map_err(|ending| format!("echo {number}: {ending}"))?;
            if returned.as_message().as_bytes() != message(connection, number) {
                return Err(format!("echo {number}: {}", short(&returned)));
            }
        }
        Ok(())
    };
    try_zip(send, receive).await?;
    match socket.close(CloseCode::NORMAL, "").await {
        Disconnect::Local { .. } => Ok(()),
        ending => Err(format!("closed, but {ending}")),
    }
}

/// Lets everybody through when all have come.
struct Meeting {
    missing: AtomicUsize,
    gate: Gate,
}

impl Meeting {
    fn of(count: usize) -> Self {
        Self { missing: AtomicUsize::new(count), gate: Gate::closed() }
    }

    /// Comes, and waits for the others.
    async fn join(&self) {
        if self.missing.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.gate.open();
        }
        self.gate.pass().await;
    }
}

/// A machine may be so busy with them that one has to wait for long. That is no failure here.
fn patient() -> Options {
    let mut options = Options::default();
    options.handshake_timeout = PATIENCE;
    options.write_timeout = PATIENCE;
    options.protocol.pong_timeout = PATIENCE;
    options.protocol.close_timeout = PATIENCE;
    options
}

/// Connects, waits for the others, talks, and leaves.
async fn visit(url: &str, here: &Meeting, connection: usize) -> Result<(), String> {
    let client = Client::new(url)
        .expect("a good address")
        .options(ClientOptions::from(patient()).connect_timeout(PATIENCE));
    let connected = client.connect().await;
    here.join().await;
    echo_all(&connected.map_err(|error| error.to_string())?, connection).await
}

/// They all connect; when all are there, all talk; then all leave. How much heap there was when all
/// were there.
fn a_crowd_comes_and_goes(server: &Running) -> usize {
    let here = Arc::new(Meeting::of(CROWD + 1));
    let (tell, told) = channel();
    for connection in 0..CROWD {
        let (url, here, tell) = (server.url("/"), here.clone(), tell.clone());
        spawn(async move {
            let outcome = visit(&url, &here, connection).await;
            let _ = tell.send((connection, outcome)); // nobody listens to one who is too late
        });
    }
    drop(tell);
    block_on(here.join());
    let heap = heap();
    // Who panics says nothing.
    let outcomes: Vec<_> = (0..CROWD).map_while(|_| told.recv_timeout(PATIENCE).ok()).collect();
    let failed: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).collect();
    let some = &failed[..failed.len().min(5)];
    assert!(failed.is_empty(), "{} of {CROWD} failed, such as {some:#?}", failed.len());
    assert_eq!(outcomes.len(), CROWD, "some said nothing");
    heap
}

/// How much heap a thread keeps for buffers: half of it for receiving.
const KEPT: usize = 8 << 20;

/// How much heap two crowds may leave behind. (How much of its buffers a thread has at the moment
/// differs from crowd to crowd.)
const LEFT_BEHIND: usize = 64 * 2 * CROWD;

#[test]
fn five_thousand_connections_echo_twenty_messages_each_and_leave_nothing_behind() {
    alone(&five_thousand_connections_echo_twenty_messages_each_and_leave_nothing_behind, || {
        allow_descriptors(2 * CROWD + 200); // both ends are in this process
        let server = serve_echo(ServerOptions::from(patient()).max_handshakes(CROWD));
        let (opened, cold) = (descriptors(), heap());
        // The threads' buffers grow, with one crowd or with several, but not for ever; and the tables
        // of the runtime and of the server grow to the size of a crowd. What each crowd leaves behind
        // has no end: so there are crowds until they leave nothing, or too much for that.
        let tables = 1024 * CROWD;
        let mut left = Vec::new();
        loop {
            let there = a_crowd_comes_and_goes(&server).saturating_sub(cold);
            wait_until("all descriptors are back", || descriptors() <= opened);
            left.push(heap().saturating_sub(cold));
            eprintln!("{CROWD} connections, both ends: {there} bytes; left behind: {left:?}");
            if let [.., earlier, _, now] = left[..]
                && now <= earlier + LEFT_BEHIND
            {
                break;
            }
            let most = threads() * KEPT + tables;
            assert!(left.last() <= Some(&most), "each crowd leaves something behind");
        }
    });
}
