//! [`Proxy`]: TCP between a client and a server, through which things go wrong where a [`Script`] says
//! so, and each time there.
//!
//! It runs on smol, in a thread of its own, whatever Prism runs on.

mod script;

pub use script::{Direction, Fault, Script};

use std::{
    convert::Infallible,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    panic::resume_unwind,
    thread::{self, JoinHandle},
    time::Duration,
};

use fastrand::Rng;
use smol::{
    Async, LocalExecutor, Timer,
    channel::{Sender, bounded},
    future::{or, try_zip},
    io::{AsyncReadExt, AsyncWriteExt},
};
use socket2::SockRef;

/// The largest piece, as a power of two.
const LARGEST: u32 = 14;

/// One piece in so many is delayed, on average, by up to [`DELAY`].
const DELAYED: u32 = 16;

const DELAY: Duration = Duration::from_millis(2);

/// A proxy. Dropped, it resets all of its connections.
pub struct Proxy {
    address: SocketAddr,
    stop: Sender<Infallible>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy before a server, on a port of its own. `script` is asked for each connection.
    ///
    /// # Panics
    /// If the operating system has no port left.
    pub fn before(server: SocketAddr, script: impl FnMut() -> Script + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let (stop, stopped) = bounded(1);
        let thread = thread::spawn(move || {
            let stopped = async {
                let _ = stopped.recv().await; // nothing is ever sent: the channel is closed
            };
            smol::block_on(or(accept(listener, server, script), stopped));
        });
        Self { address, stop, thread: Some(thread) }
    }

    /// Where it listens.
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

/// Relays whoever comes, for ever.
async fn accept(listener: TcpListener, server: SocketAddr, mut script: impl FnMut() -> Script) {
    let listener = Async::new(listener).expect("a listener");
    let relays = LocalExecutor::new();
    let coming = async {
        loop {
            match listener.accept().await {
                Ok((client, _)) => relays.spawn(relay(client, server, script())).detach(),
                // That client has gone again; or no descriptor is left, and one will be later.
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

/// A connection, from beginning to end.
async fn relay(client: Async<TcpStream>, server: SocketAddr, script: Script) {
    let Ok(server) = Async::<TcpStream>::connect(server).await else { return };
    let both = [&client, &server];
    for stream in both {
        // Dropped, it is reset. (One that can not be told so has gone, and will say so itself.)
        let _ = stream.get_ref().set_nodelay(true);
        let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    }
    let up = pass(&client, &server, script.up, Rng::with_seed(script.seed));
    let down = pass(&server, &client, script.down, Rng::with_seed(!script.seed));
    let end = try_zip(up, down).await;
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

/// Passes bytes on, in pieces of all sizes, until they end and the other side has been told; or until
/// it is the end of both directions.
async fn pass(
    mut from: &Async<TcpStream>,
    mut to: &Async<TcpStream>,
    faults: Vec<(u64, Fault)>,
    mut dice: Rng,
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
                    return swallow(from).await;
                }
                Fault::Reset => return Err(End::Reset),
                Fault::Stall(span) => drop(Timer::after(span).await),
                Fault::Swallow => return swallow(from).await,
            }
        }
        let undisturbed = faults.peek().map_or(u64::MAX, |(at, _)| at - passed);
        let piece = (1 << dice.u32(0..=LARGEST)).min(undisturbed);
        let count = from.read(&mut buffer[..piece as usize]).await.map_err(|_| End::Reset)?;
        if count == 0 {
            return end(to);
        }
        if dice.u32(..DELAYED) == 0 {
            Timer::after(DELAY.mul_f32(dice.f32())).await;
        }
        to.write_all(&buffer[..count]).await.map_err(|_| End::Reset)?;
        passed += count as u64;
    }
}

fn end(direction: &Async<TcpStream>) -> Result<(), End> {
    direction.get_ref().shutdown(Shutdown::Write).map_err(|_| End::Reset)
}

/// Takes what comes until it ends, and passes nothing on.
async fn swallow(mut from: &Async<TcpStream>) -> Result<(), End> {
    let mut scratch = vec![0; 1 << LARGEST];
    while from.read(&mut scratch).await.map_err(|_| End::Reset)? > 0 {}
    Ok(())
}
