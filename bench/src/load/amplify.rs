//! Attacks on a server's memory: what each byte that they send has it hold.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use mio::Poll;
use prism_core::OpCode;

use super::{
    Payload, Process,
    client::{self, Client, Site},
    crowd,
    flood::frame,
};

/// What a connection counts for beside the bytes that are sent on it: a SYN and an ACK, with their IP
/// headers.
const CONNECTION: u64 = 60 + 52;

/// When the server's memory has not grown for so long, it does not grow any more.
const QUIET: Duration = Duration::from_millis(500);

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// As long as a message may be by default.
const LONGEST: usize = 1 << 20;

/// An attack.
#[derive(Debug)]
pub struct Attack {
    /// Its name on the command line.
    pub name: &'static str,
    run: fn(&mut Attacker) -> io::Result<()>,
}

/// All of them.
pub const ATTACKS: &[Attack] = &[
    Attack { name: "chat", run: Attacker::tell_who_does_not_read },
    Attack { name: "pages", run: Attacker::leave_pages_unread },
    Attack { name: "rate", run: Attacker::talk_too_fast },
    Attack { name: "say", run: Attacker::say_to_who_does_not_read },
    Attack { name: "presence", run: Attacker::change_before_who_does_not_read },
    Attack { name: "watch-again", run: Attacker::watch_again_unread },
    Attack { name: "crowd", run: Attacker::talk_in_step },
    Attack { name: "busy", run: Attacker::send_to_who_is_busy },
    Attack { name: "empty-fragments", run: Attacker::send_empty_fragments },
    Attack { name: "unfinished", run: Attacker::leave_messages_unfinished },
    Attack { name: "pings", run: Attacker::leave_pongs_unread },
    Attack { name: "silent", run: Attacker::say_nothing },
];

impl Attack {
    /// Attacks; how many bytes were sent, and how much memory the server had at most beyond what it had
    /// before the first connection.
    ///
    /// # Errors
    /// If the server fails a connection.
    pub fn run(&self, address: SocketAddr, server: Process) -> io::Result<(u64, u64)> {
        server.forget_peak()?;
        let idle = server.peak()?;
        let mut attacker =
            Attacker { address, server, groups: Vec::new(), raw: Vec::new(), sent: 0 };
        (self.run)(&mut attacker)?;
        let memory = settled_peak(server)?.saturating_sub(idle);
        Ok((attacker.sent(), memory))
    }
}

/// An attacker's connections. They stay open until all is over.
struct Attacker {
    address: SocketAddr,
    server: Process,
    groups: Vec<(Poll, Vec<Client>)>,
    /// Those that never become a WebSocket.
    raw: Vec<TcpStream>,
    /// What was sent on those.
    sent: u64,
}

impl Attacker {
    // ---- the examples

    /// Two thousand members of a chat that do not read, and one message as long as it may be.
    fn tell_who_does_not_read(&mut self) -> io::Result<()> {
        self.open("/ws", 2000)?;
        self.open("/ws", 1)?;
        self.each(&frame(OpCode::Text, true, &vec![b'a'; LONGEST]))
    }

    /// A thousand requests for a page, which nobody reads.
    fn leave_pages_unread(&mut self) -> io::Result<()> {
        self.connect(1000, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    }

    /// A thousand peers that send small messages faster than they are taken.
    fn talk_too_fast(&mut self) -> io::Result<()> {
        self.open("/ws", 1000)?;
        self.each(&frame(OpCode::Text, true, b"").repeat(110))
    }

    /// Sixty members of a room that do not read, and ten who say as much as they may.
    fn say_to_who_does_not_read(&mut self) -> io::Result<()> {
        self.open("/ws", 60)?;
        self.each(&frame(OpCode::Text, true, b"/join a"))?;
        self.open("/ws", 10)?;
        self.each(&frame(OpCode::Text, true, b"/join a"))?;
        let line = ["a ".as_bytes(), &vec![b'\x01'; (16 << 10) - 2]].concat();
        self.each(&frame(OpCode::Text, true, &line).repeat(50))
    }

    // ---- presence

    /// Ten people with as much metadata as there may be, which they change, and sixty watchers that do not
    /// read.
    fn change_before_who_does_not_read(&mut self) -> io::Result<()> {
        self.open("/", 60)?;
        self.each(&frame(OpCode::Text, true, b"watch"))?;
        self.open("/", 10)?;
        for change in b'a'..b'a' + 20 {
            self.each(&frame(OpCode::Text, true, &vec![change; META]))?;
            thread::sleep(WINDOW);
        }
        Ok(())
    }

    /// Ten people with as much metadata as there may be, one of whom changes, and sixty watchers that do
    /// not read, but ask for the state again and again.
    fn watch_again_unread(&mut self) -> io::Result<()> {
        self.open("/", 1)?;
        self.open("/", 9)?;
        self.each(&frame(OpCode::Text, true, &vec![b'a'; META]))?;
        self.open("/", 60)?;
        for change in b'a'..b'a' + 20 {
            let (poll, mut all) = self.groups.remove(0);
            let small = frame(OpCode::Text, true, &[change]);
            let sent = all[0].send(&small, small.len());
            self.groups.insert(0, (poll, all));
            sent?;
            thread::sleep(WINDOW);
            self.each(&frame(OpCode::Text, true, b"watch"))?;
        }
        Ok(())
    }

    // ---- echo

    /// A crowd that talks in step.
    fn talk_in_step(&mut self) -> io::Result<()> {
        self.open("/", 4096)?;
        let message = Payload { size: 5, text: false }.frame();
        let (poll, clients) = self.groups.last_mut().expect("it was just opened");
        crowd::talk(poll, clients, &message, self.server)
    }

    /// Two thousand peers that send a byte to a handler that does not return.
    fn send_to_who_is_busy(&mut self) -> io::Result<()> {
        self.open("/", 2000)?;
        self.each(&frame(OpCode::Binary, true, b"a"))
    }

    /// A thousand messages of empty fragments, as many in a row as there may be, and a byte between them.
    fn send_empty_fragments(&mut self) -> io::Result<()> {
        self.open("/", 1000)?;
        let mut row = frame(OpCode::Continuation, false, b"a");
        row.extend(frame(OpCode::Continuation, false, b"").repeat(31));
        let begin = frame(OpCode::Binary, false, b"a");
        self.each(&[begin, row.repeat(16)].concat())
    }

    /// A hundred messages that are as long as they may be, but for their last byte.
    fn leave_messages_unfinished(&mut self) -> io::Result<()> {
        self.open("/", 100)?;
        let mut message = Payload { size: LONGEST, text: false }.frame();
        message.pop();
        self.each(&message)
    }

    /// Two hundred peers that ping, and do not read the pongs.
    fn leave_pongs_unread(&mut self) -> io::Result<()> {
        self.open("/", 200)?;
        self.each(&frame(OpCode::Ping, true, &[b'a'; 125]).repeat(8000))
    }

    /// Eight thousand connections on which nothing is sent.
    fn say_nothing(&mut self) -> io::Result<()> {
        self.connect(8000, b"")
    }

    // ---- how it is done

    /// Opens so many WebSockets.
    fn open(&mut self, path: &str, count: usize) -> io::Result<()> {
        let mut poll = Poll::new()?;
        let clients = client::open(&mut poll, Site::new(self.address, path), count)?;
        self.groups.push((poll, clients));
        Ok(())
    }

    /// Sends this on each of those that were opened last.
    fn each(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (poll, clients) = self.groups.last_mut().expect("some were opened");
        let began = Instant::now();
        clients.iter_mut().try_for_each(|client| client.send(bytes, bytes.len()))?;
        let mut events = mio::Events::with_capacity(1024);
        while clients.iter().any(|client| !client.has_sent()) && began.elapsed() < PATIENCE {
            poll.poll(&mut events, Some(QUIET))?;
            clients.iter_mut().try_for_each(|client| client.send(bytes, 0))?;
        }
        Ok(())
    }

    /// Opens so many connections, and sends this on each.
    fn connect(&mut self, count: usize, bytes: &[u8]) -> io::Result<()> {
        for _ in 0..count {
            let mut stream = TcpStream::connect(self.address)?;
            stream.write_all(bytes)?;
            self.sent += bytes.len() as u64;
            self.raw.push(stream);
        }
        Ok(())
    }

    /// How much was sent in all.
    fn sent(&self) -> u64 {
        let clients = || self.groups.iter().flat_map(|(_, clients)| clients);
        let connections = (clients().count() + self.raw.len()) as u64;
        clients().map(|client| client.sent).sum::<u64>() + self.sent + connections * CONNECTION
    }
}

/// As much metadata as there may be, without its quotes.
const META: usize = (4 << 10) - 2;

/// Longer than changes are gathered.
const WINDOW: Duration = Duration::from_millis(150);

/// The most memory that the server has had, once it does not grow any more.
fn settled_peak(server: Process) -> io::Result<u64> {
    let (began, mut peak) = (Instant::now(), server.peak()?);
    loop {
        thread::sleep(QUIET);
        let now = server.peak()?;
        // So much it grows for reasons of its own.
        if now <= peak + (64 << 10) || began.elapsed() > PATIENCE {
            return Ok(now);
        }
        peak = now;
    }
}
