//! [`Proxy`]: a TCP proxy that injects faults. A [`Script`] says where, so that they are
//! reproducible.
//!
//! It runs on smol, in its own thread, whichever runtime Prism runs on.

mod script;

pub use script::{Direction, Fault, Script};

use std::{
    convert::Infallible,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    panic::resume_unwind,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use fastrand::Rng;
use smol::{
    Async, LocalExecutor, Timer,
    channel::{Sender, bounded},
    future::{or, try_zip},
    io::{AsyncReadExt, AsyncWriteExt},
    lock::{RwLock, RwLockWriteGuardArc},
};
use socket2::SockRef;

/// The largest chunk that is passed on at once, as a power of two.
const LARGEST: u32 = 14;

/// On average, one chunk in this many is delayed by up to [`DELAY`].
const DELAYED: u32 = 16;

const DELAY: Duration = Duration::from_millis(2);

/// What passes goes through it. While it is locked for writing, nothing does.
type Gate = RwLock<()>;

/// Stalls all connections of a [`Proxy`] until it is dropped. Returned by [`Proxy::stall`].
#[must_use]
pub struct Stalled {
    _gate: RwLockWriteGuardArc<()>,
}

/// A proxy in front of a server. All of its connections are reset when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    gate: Arc<Gate>,
    stop: Sender<Infallible>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy in front of a server, on a free port. `script` is called for each connection.
    ///
    /// # Panics
    /// If no port is free.
    pub fn in_front_of(
        server: SocketAddr,
        script: impl FnMut() -> Script + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let (stop, stopped) = bounded(1);
        let gate = Arc::<Gate>::default();
        let its_gate = gate.clone();
        let thread = thread::spawn(move || {
            let stopped = async {
                let _ = stopped.recv().await; // nothing is ever sent: the channel is closed
            };
            smol::block_on(or(accept(listener, server, &its_gate, script), stopped));
        });
        Self { address, gate, stop, thread: Some(thread) }
    }

    /// Stalls all connections, also those that are opened meanwhile, until the result is dropped. Nothing passes in
    /// either direction, not even the end of a connection. Then everything does that has been sent meanwhile.
    pub fn stall(&self) -> Stalled {
        Stalled { _gate: self.gate.write_arc_blocking() }
    }

    /// Returns the address that the proxy listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.close();
        let ended = self.thread.take().map(JoinHandle::join);
        if let Some(Err(panic)) = ended
            && !thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

/// Accepts and relays connections until it is dropped.
async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    gate: &Gate,
    mut script: impl FnMut() -> Script,
) {
    let listener = Async::new(listener).expect("a listener");
    let relays = LocalExecutor::new();
    let coming = async {
        loop {
            match listener.accept().await {
                Ok((client, _)) => relays.spawn(relay(client, server, gate, script())).detach(),
                // The client has left already, or the process is out of descriptors for now.
                Err(_) => drop(Timer::after(DELAY).await),
            }
        }
    };
    relays.run(coming).await;
}

/// How a connection ends for both sides at once.
enum End {
    Cut,
    Freeze(Duration),
    Reset,
}

/// Relays one connection from beginning to end.
async fn relay(client: Async<TcpStream>, server: SocketAddr, gate: &Gate, script: Script) {
    drop(gate.read().await);
    let Ok(server) = Async::<TcpStream>::connect(server).await else { return };
    let both = [&client, &server];
    for stream in both {
        // Without linger time, dropping the socket resets it. If an option cannot be set, the
        // socket has failed, and reading reports that.
        let _ = stream.get_ref().set_nodelay(true);
        let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    }
    let up = relay_direction(&client, &server, gate, script.up, Rng::with_seed(script.seed));
    let down = relay_direction(&server, &client, gate, script.down, Rng::with_seed(!script.seed));
    let end = try_zip(up, down).await;
    drop(gate.read().await);
    if let Err(End::Freeze(span)) = end {
        Timer::after(span).await;
    }
    for stream in both {
        if let Err(End::Cut) = end {
            let _ = stream.get_ref().shutdown(Shutdown::Both);
        }
        if matches!(end, Ok(_) | Err(End::Cut)) {
            let _ = SockRef::from(stream).set_linger(None);
        }
    }
}

/// Relays one direction in chunks of random sizes. Returns when the input has ended and the end was
/// passed on, or with the [`End`] of both directions.
async fn relay_direction(
    mut from: &Async<TcpStream>,
    mut to: &Async<TcpStream>,
    gate: &Gate,
    faults: Vec<(u64, Fault)>,
    mut rng: Rng,
) -> Result<(), End> {
    let mut faults = faults.into_iter().peekable();
    let mut buffer = vec![0; 1 << LARGEST];
    let mut passed = 0;
    loop {
        while let Some((_, fault)) = faults.next_if(|(at, _)| *at <= passed) {
            match fault {
                Fault::Cut => return Err(End::Cut),
                Fault::Freeze(span) => return Err(End::Freeze(span)),
                Fault::HalfCut => {
                    end(to)?;
                    return discard(from).await;
                }
                Fault::Reset => return Err(End::Reset),
                Fault::Stall(span) => drop(Timer::after(span).await),
                Fault::Discard => return discard(from).await,
            }
        }
        let undisturbed = faults.peek().map_or(u64::MAX, |(at, _)| at - passed);
        let piece = (1 << rng.u32(0..=LARGEST)).min(undisturbed);
        let count = from.read(&mut buffer[..piece as usize]).await.map_err(|_| End::Reset)?;
        drop(gate.read().await);
        if count == 0 {
            return end(to);
        }
        if rng.u32(..DELAYED) == 0 {
            Timer::after(DELAY.mul_f32(rng.f32())).await;
        }
        to.write_all(&buffer[..count]).await.map_err(|_| End::Reset)?;
        passed += count as u64;
    }
}

fn end(direction: &Async<TcpStream>) -> Result<(), End> {
    direction.get_ref().shutdown(Shutdown::Write).map_err(|_| End::Reset)
}

/// Reads until the input ends, and discards everything.
async fn discard(mut from: &Async<TcpStream>) -> Result<(), End> {
    let mut scratch = vec![0; 1 << LARGEST];
    while from.read(&mut scratch).await.map_err(|_| End::Reset)? > 0 {}
    Ok(())
}
