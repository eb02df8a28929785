//! Many clients whose handshakes take a while, because the server authorizes them. Some leave in the middle.

use std::{
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use super::{
    Latency, Process,
    client::{Client, PATIENCE, Site},
};

/// How long a client that leaves has been connected.
const LEAVES_AFTER: Duration = Duration::from_millis(50);

/// How long a server may take to come to rest.
const SETTLE: Duration = Duration::from_millis(300);

/// Of this many clients, one leaves.
const ONE_OF: usize = 3;

/// Clients that connect at fixed times, and stay until all are open.
#[derive(Clone, Debug)]
pub struct Authorize {
    /// The server's route.
    pub path: String,
    /// How many clients connect.
    pub clients: usize,
    /// The time over which they connect.
    pub duration: Duration,
    /// Whether a third of them leaves before it has an answer.
    pub some_leave: bool,
}

/// What has become of the clients.
#[derive(Debug)]
pub struct Authorized {
    /// How long each handshake took that was not given up.
    pub handshakes: Latency,
    /// How many clients the server saw leave before they had an answer.
    pub left: u64,
    /// By how much the server's memory has grown since the same clients were there before.
    pub growth: i64,
}

impl Authorize {
    /// Does the same twice, and returns the results of the second time. Prints `connecting` when that begins.
    ///
    /// # Errors
    /// If the server refuses a client that stays, does not answer it, or still counts one that is gone.
    pub fn run(&self, address: SocketAddr, server: Process) -> Result<Authorized, Box<dyn Error>> {
        self.round(address)?;
        let before = server.memory()?;
        println!("connecting");
        let (handshakes, left) = self.round(address)?;
        let growth = server.memory()?.cast_signed() - before.cast_signed();
        Ok(Authorized { handshakes, left, growth })
    }

    /// Connects all clients, and closes them. Returns when the server is at rest again.
    fn round(&self, address: SocketAddr) -> Result<(Latency, u64), Box<dyn Error>> {
        let [_, _, left_before, refused_before] = counts(address)?;
        let (trips, gone) = self.connect(address)?;
        thread::sleep(SETTLE);
        let [in_handshake, open, left, refused] = counts(address)?;
        let (left, refused) = (left - left_before, refused - refused_before);
        // Only this request is in its handshake, and only a good client is open. A client that leaves late, because
        // the machine is busy, may have had its answer.
        if in_handshake != 1 || open > 1 || left > gone || refused != left {
            let counted =
                format!("{in_handshake} in handshake, {open} open, {left} left, {refused} refused");
            return Err(format!("{gone} clients have left; counted: {counted}").into());
        }
        Ok((Latency::of(trips).ok_or("no client has stayed")?, left))
    }

    fn connect(&self, address: SocketAddr) -> Result<(Vec<Duration>, u64), Box<dyn Error>> {
        let (mut poll, site) = (Poll::new()?, Site::new(address, &self.path));
        let mut events = Events::with_capacity(1024);
        let mut buffer = [0; 4096];
        let mut clients = Vec::<Option<(Client, Instant)>>::with_capacity(self.clients);
        let (mut trips, mut left, mut may_leave) = (Vec::new(), 0, 0);
        let every = self.duration / u32::try_from(self.clients)?;
        let began = Instant::now();
        while trips.len() + (left as usize) < self.clients {
            let now = began.elapsed();
            if now > self.duration + PATIENCE {
                return Err(format!("{} of {} are open", trips.len(), self.clients).into());
            }
            while clients.len() < self.clients && began.elapsed() >= every * clients.len() as u32 {
                let client = Client::connect(&site, poll.registry(), clients.len())?;
                clients.push(Some((client, Instant::now())));
            }
            // Clients leave in the order in which they came, unless they are open by now.
            while self.some_leave
                && let Some(Some((client, since))) = clients.get(may_leave)
                && since.elapsed() >= LEAVES_AFTER
            {
                if !client.is_open() {
                    clients[may_leave] = None;
                    left += 1;
                }
                may_leave += ONE_OF;
            }
            poll.poll(&mut events, Some(Duration::from_millis(1)))?;
            for event in &events {
                let token = event.token().0;
                let Some((client, since)) = &mut clients[token] else { continue };
                if client.is_open() {
                    client.answer_pings(&mut buffer)?;
                } else if client.advance(event, &mut buffer)? {
                    trips.push(since.elapsed());
                }
            }
        }
        Ok((trips, left))
    }
}

/// Asks the server for its counters.
fn counts(address: SocketAddr) -> Result<[u64; 4], Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /counts HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no counters")?;
    let numbers: Vec<u64> = body.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    numbers.try_into().map_err(|_| "four counters were expected".into())
}
