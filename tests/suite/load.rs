//! Many busy connections at once: no message is lost, reordered or duplicated, and nothing leaks
//! after they have closed.

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
    TIMEOUT, block_on,
    handlers::Gate,
    own_process::{allow_descriptors, descriptors, heap, in_own_process, threads},
    server::{TestServer, serve_echo},
    short, wait_until,
};
use crate::{
    prism::{Client, ClientOptions, CloseCode, Disconnect, Options, ServerOptions, Socket},
    runtime::spawn,
};

const CONNECTIONS: usize = 5_000;
const MESSAGES: u32 = 20;

/// Random bytes, twice as many as the longest message has. Generating each message separately would
/// take most of the test's time.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut rng = Rng::with_seed(0);
    iter::repeat_with(|| rng.u8(..)).take(32 << 10).collect()
});

/// Returns the message with this number of this connection. Sizes range from zero to 16 KiB, with a
/// logarithmic distribution.
fn message(connection: usize, number: u32) -> Vec<u8> {
    let mut rng = Rng::with_seed((connection as u64) << 8 | u64::from(number));
    let most = 1 << rng.u32(..15);
    let size = rng.usize(..most);
    let start = rng.usize(..16 << 10);
    let name = format!("{connection}/{number}: ");
    [name.as_bytes(), &BYTES[start..start + size]].concat()
}

/// Sends all messages, expects each of them back once and in order, and closes.
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

/// Blocks tasks until all of them have arrived.
struct Barrier {
    missing: AtomicUsize,
    gate: Gate,
}

impl Barrier {
    fn of(count: usize) -> Self {
        Self { missing: AtomicUsize::new(count), gate: Gate::closed() }
    }

    /// Arrives, and waits for the others.
    async fn wait(&self) {
        if self.missing.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.gate.open();
        }
        self.gate.pass().await;
    }
}

/// Returns options with long deadlines: slow connections on a busy machine are not failures here.
fn long_deadlines() -> Options {
    let mut options = Options::default();
    options.handshake_timeout = TIMEOUT;
    options.write_timeout = TIMEOUT;
    options.protocol.pong_timeout = TIMEOUT;
    options.protocol.close_timeout = TIMEOUT;
    options
}

/// Connects, waits for the others, exchanges all messages, and closes.
async fn run_client(url: &str, barrier: &Barrier, connection: usize) -> Result<(), String> {
    let client = Client::new(url)
        .expect("a good address")
        .options(ClientOptions::from(long_deadlines()).connect_timeout(TIMEOUT));
    let connected = client.connect().await;
    barrier.wait().await;
    echo_all(&connected.map_err(|error| error.to_string())?, connection).await
}

/// Connects all clients, lets them exchange their messages, and closes them. Returns the heap at
/// the moment when all were connected.
fn run_round(server: &TestServer) -> usize {
    let barrier = Arc::new(Barrier::of(CONNECTIONS + 1));
    let (sender, outcomes) = channel();
    for connection in 0..CONNECTIONS {
        let (url, barrier, sender) = (server.url("/"), barrier.clone(), sender.clone());
        spawn(async move {
            let outcome = run_client(&url, &barrier, connection).await;
            let _ = sender.send((connection, outcome)); // fails after the timeout
        });
    }
    drop(sender);
    block_on(barrier.wait());
    let heap = heap();
    // A task that panics sends no outcome.
    let outcomes: Vec<_> =
        (0..CONNECTIONS).map_while(|_| outcomes.recv_timeout(TIMEOUT).ok()).collect();
    let failed: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).collect();
    let some = &failed[..failed.len().min(5)];
    assert!(failed.is_empty(), "{} of {CONNECTIONS} failed, such as {some:#?}", failed.len());
    assert_eq!(outcomes.len(), CONNECTIONS, "some tasks sent no outcome");
    heap
}

/// The heap that a thread may keep for buffers. Half of it is for receiving.
const KEPT_PER_THREAD: usize = 8 << 20;

/// The heap that two rounds may leave behind. How many buffers a thread keeps differs from round to
/// round.
const LEFT_BEHIND: usize = 64 * 2 * CONNECTIONS;

#[test]
fn five_thousand_busy_connections_leak_nothing() {
    in_own_process(&five_thousand_busy_connections_leak_nothing, || {
        allow_descriptors(2 * CONNECTIONS + 200); // both ends are in this process
        let server = serve_echo(ServerOptions::from(long_deadlines()).max_handshakes(CONNECTIONS));
        let (opened, cold) = (descriptors(), heap());
        // The buffers of the threads grow over several rounds, up to a limit, and the tables of the
        // runtime and the server grow to the size of a round. A leak, however, grows with every
        // round. So there are rounds until one adds nothing, or the total exceeds those limits.
        let tables = 1024 * CONNECTIONS;
        let mut left = Vec::new();
        loop {
            let connected = run_round(&server).saturating_sub(cold);
            wait_until("all descriptors are closed", || descriptors() <= opened);
            left.push(heap().saturating_sub(cold));
            eprintln!(
                "{CONNECTIONS} connections, both ends: {connected} bytes; left behind: {left:?}"
            );
            if let [.., earlier, _, now] = left[..]
                && now <= earlier + LEFT_BEHIND
            {
                break;
            }
            let most = threads() * KEPT_PER_THREAD + tables;
            assert!(left.last() <= Some(&most), "every round leaves memory behind");
        }
    });
}
