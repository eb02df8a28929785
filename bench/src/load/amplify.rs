//! Attacks on a server's memory: how much it holds for each byte that they send.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use mio::Poll;
use prism_core::OpCode;

use super::{
    Payload, Process, bombs,
    client::{self, Client, PING, READ_SIZE, Site},
    crowd,
    flood::frame,
    rooms::{join, request},
};

/// What a connection counts for besides the bytes that are sent on it: a SYN and an ACK, with their IP
/// headers.
const CONNECTION: u64 = 60 + 52;

/// If the server's memory has not grown for this long, it has settled.
const QUIET: Duration = Duration::from_millis(500);

/// How long the memory may take to settle.
const PATIENCE: Duration = Duration::from_secs(10);

/// The default limit for a message.
const MAX_MESSAGE: usize = 1 << 20;

/// An attack.
#[derive(Debug)]
pub struct Attack {
    /// Its name on the command line.
    pub name: &'static str,
    run: fn(&mut Attacker) -> io::Result<()>,
}

/// All attacks.
pub const ATTACKS: &[Attack] = &[
    Attack { name: "chat", run: Attacker::broadcast_to_unread_members },
    Attack { name: "chat-small", run: Attacker::chat_with_unread_members },
    Attack { name: "chat-bombs", run: Attacker::bomb_a_chat },
    Attack { name: "pages", run: Attacker::leave_pages_unread },
    Attack { name: "large-pages", run: Attacker::leave_pages_unread },
    Attack { name: "rate", run: Attacker::exceed_the_message_rate },
    Attack { name: "say", run: Attacker::flood_a_room_with_unread_members },
    Attack { name: "rooms-small", run: Attacker::chat_in_a_room_with_unread_members },
    Attack { name: "states-unread", run: Attacker::leave_states_unread },
    Attack { name: "states-at-once", run: Attacker::ask_for_states_at_once },
    Attack { name: "presence", run: Attacker::change_before_unread_watchers },
    Attack { name: "watch-again", run: Attacker::watch_again_unread },
    Attack { name: "crowd", run: Attacker::send_at_once },
    Attack { name: "busy", run: Attacker::send_to_busy_handlers },
    Attack { name: "busy-bombs", run: Attacker::bomb_busy_handlers },
    Attack { name: "empty-fragments", run: Attacker::send_empty_fragments },
    Attack { name: "unfinished", run: Attacker::leave_messages_unfinished },
    Attack { name: "pings", run: Attacker::leave_pongs_unread },
    Attack { name: "silent", run: Attacker::stay_silent },
];

impl Attack {
    /// Runs the attack. Returns how many bytes were sent, and the growth of the server's peak memory since
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

/// An attacker's connections, which stay open until the attack is over.
struct Attacker {
    address: SocketAddr,
    server: Process,
    groups: Vec<(Poll, Vec<Client>)>,
    /// The connections that never become a WebSocket.
    raw: Vec<TcpStream>,
    /// How many bytes were sent on those.
    sent: u64,
}

impl Attacker {
    // ---- the examples

    /// Two thousand members of a chat that do not read, and one message of the maximum length.
    fn broadcast_to_unread_members(&mut self) -> io::Result<()> {
        self.open("/ws", 2000)?;
        self.open("/ws", 1)?;
        self.each(&frame(OpCode::Text, true, &vec![b'a'; MAX_MESSAGE]))
    }

    /// The same members, and as many short messages as they can be made to miss.
    fn chat_with_unread_members(&mut self) -> io::Result<()> {
        self.open("/ws", 2000)?;
        self.open("/ws", 1)?;
        self.each(&frame(OpCode::Text, true, b"a").repeat(30_000))?;
        self.wait_until_handled()
    }

    /// The same members, and one that sends twenty messages of the maximum length, compressed to a thousandth.
    fn bomb_a_chat(&mut self) -> io::Result<()> {
        self.open("/ws", 2000)?;
        self.open_site(Site::new(self.address, "/ws").offering(bombs::OFFER), 1)?;
        self.each(&bombs::zeros(MAX_MESSAGE).repeat(20))
    }

    /// A thousand requests for a page that is never read.
    fn leave_pages_unread(&mut self) -> io::Result<()> {
        self.connect(1000, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    }

    /// A thousand peers that send small messages faster than the server accepts them.
    fn exceed_the_message_rate(&mut self) -> io::Result<()> {
        self.open("/ws", 1000)?;
        self.each(&frame(OpCode::Text, true, b"").repeat(110))
    }

    /// Sixty members of a room that do not read, and ten that send as much as they may.
    fn flood_a_room_with_unread_members(&mut self) -> io::Result<()> {
        self.open("/ws", 60)?;
        self.each(&join("a"))?;
        self.open("/ws", 10)?;
        self.each(&join("a"))?;
        self.each(&say(&"🦀".repeat(4000)).repeat(50))
    }

    /// A thousand members of a room, nearly all of whom do not read, while fifty send short messages as fast as they
    /// may. They are not shown to each other, because the number of people who are is limited.
    fn chat_in_a_room_with_unread_members(&mut self) -> io::Result<()> {
        let join = request(r#"{"type":"join","room":"a"}"#);
        self.open("/ws", 950)?;
        self.each(&join)?;
        self.open("/ws", 50)?;
        self.each(&join)?;
        self.each(&say("a").repeat(98))?;
        self.wait_until_handled()
    }

    /// A thousand peers that ask for the state of a full room as often as they can be made to miss it, and do not read
    /// it.
    fn leave_states_unread(&mut self) -> io::Result<()> {
        self.join_a_full_room(1000)?;
        for _ in 0..60 {
            self.each(&request(WATCH))?;
            thread::sleep(INTERVAL);
        }
        Ok(())
    }

    /// Two thousand peers that ask for the state of a full room at the same moment.
    fn ask_for_states_at_once(&mut self) -> io::Result<()> {
        self.join_a_full_room(2000)?;
        let (poll, clients) = self.groups.last_mut().expect("it was just opened");
        crowd::talk(poll, clients, &request(WATCH), self.server)
    }

    /// Opens connections in a room that has as many people as it may have besides them.
    fn join_a_full_room(&mut self, count: usize) -> io::Result<()> {
        self.open("/ws", 200)?;
        self.each(&join("a"))?;
        self.open("/ws", count)?;
        self.each(&request(r#"{"type":"join","room":"a"}"#))
    }

    // ---- presence

    /// Ten people who change their metadata of the maximum size, and sixty watchers that do not read.
    fn change_before_unread_watchers(&mut self) -> io::Result<()> {
        self.open("/", 60)?;
        self.each(&frame(OpCode::Text, true, b"watch"))?;
        self.open("/", 10)?;
        for change in b'a'..b'a' + 20 {
            self.each(&frame(OpCode::Text, true, &vec![change; META]))?;
            thread::sleep(WINDOW);
        }
        Ok(())
    }

    /// Ten people with metadata of the maximum size, one of whom changes it, and sixty watchers that do not
    /// read, but request the state again and again.
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

    /// A crowd of peers that all send at the same moment.
    fn send_at_once(&mut self) -> io::Result<()> {
        self.open("/", 4096)?;
        let message = Payload { size: 5, text: false }.frame();
        let (poll, clients) = self.groups.last_mut().expect("it was just opened");
        crowd::talk(poll, clients, &message, self.server)
    }

    /// Two thousand peers that send a byte to a handler that does not return.
    fn send_to_busy_handlers(&mut self) -> io::Result<()> {
        self.open("/", 2000)?;
        self.each(&frame(OpCode::Binary, true, b"a"))
    }

    /// A hundred peers that send a message of the maximum length, compressed to a thousandth, to a handler that does
    /// not return.
    fn bomb_busy_handlers(&mut self) -> io::Result<()> {
        self.open_site(Site::from(self.address).offering(bombs::OFFER), 100)?;
        self.each(&bombs::zeros(MAX_MESSAGE))
    }

    /// A thousand messages of empty fragments, with a byte after the maximum number of empty ones in a row.
    fn send_empty_fragments(&mut self) -> io::Result<()> {
        self.open("/", 1000)?;
        let mut row = frame(OpCode::Continuation, false, b"a");
        row.extend(frame(OpCode::Continuation, false, b"").repeat(31));
        let begin = frame(OpCode::Binary, false, b"a");
        self.each(&[begin, row.repeat(16)].concat())
    }

    /// A hundred messages of the maximum length, without their last byte.
    fn leave_messages_unfinished(&mut self) -> io::Result<()> {
        self.open("/", 100)?;
        let mut message = Payload { size: MAX_MESSAGE, text: false }.frame();
        message.pop();
        self.each(&message)
    }

    /// Two hundred peers that ping, and do not read the pongs.
    fn leave_pongs_unread(&mut self) -> io::Result<()> {
        self.open("/", 200)?;
        self.each(&frame(OpCode::Ping, true, &[b'a'; 125]).repeat(8000))
    }

    /// Eight thousand connections on which nothing is sent.
    fn stay_silent(&mut self) -> io::Result<()> {
        self.connect(8000, b"")
    }

    // ---- connections

    /// Opens this many WebSockets.
    fn open(&mut self, path: &str, count: usize) -> io::Result<()> {
        self.open_site(Site::new(self.address, path), count)
    }

    fn open_site(&mut self, site: Site, count: usize) -> io::Result<()> {
        let mut poll = Poll::new()?;
        let clients = client::open(&mut poll, site, count)?;
        self.groups.push((poll, clients));
        Ok(())
    }

    /// Sends these bytes on each of the WebSockets that were opened last.
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

    /// Reads on the WebSockets that were opened last, until the server has handled everything sent on them.
    fn wait_until_handled(&mut self) -> io::Result<()> {
        self.each(PING)?;
        let (poll, clients) = self.groups.last_mut().expect("some were opened");
        let mut events = mio::Events::with_capacity(1024);
        let (mut buffer, mut pongs) = (vec![0; READ_SIZE], 0);
        while pongs < clients.len() {
            client::wait(poll, &mut events)?;
            for event in &events {
                pongs += clients[event.token().0].receive(&mut buffer)?.pongs;
            }
        }
        Ok(())
    }

    /// Opens this many TCP connections, and sends these bytes on each.
    fn connect(&mut self, count: usize, bytes: &[u8]) -> io::Result<()> {
        for _ in 0..count {
            let mut stream = TcpStream::connect(self.address)?;
            stream.write_all(bytes)?;
            self.sent += bytes.len() as u64;
            self.raw.push(stream);
        }
        Ok(())
    }

    /// Returns how many bytes were sent in all.
    fn sent(&self) -> u64 {
        let clients = || self.groups.iter().flat_map(|(_, clients)| clients);
        let connections = (clients().count() + self.raw.len()) as u64;
        clients().map(|client| client.sent).sum::<u64>() + self.sent + connections * CONNECTION
    }
}

/// The maximum size of metadata, without its quotes.
const META: usize = (4 << 10) - 2;

/// Longer than the window in which changes are gathered.
const WINDOW: Duration = Duration::from_millis(150);

/// Twice the time between two requests that the example `rooms` handles without a delay.
const INTERVAL: Duration = Duration::from_millis(100);

/// A request of the example `rooms`, for the state of a room.
const WATCH: &str = r#"{"type":"watch","room":"a"}"#;

/// Returns a message to the room `a` of the example `rooms`.
fn say(text: &str) -> Vec<u8> {
    let data = format!(r#"{{"name":"a","text":"{text}"}}"#);
    request(&format!(r#"{{"type":"send","room":"a","data":{data}}}"#))
}

/// Waits until the server's memory has settled, and returns its peak.
fn settled_peak(server: Process) -> io::Result<u64> {
    let (began, mut peak) = (Instant::now(), server.peak()?);
    loop {
        thread::sleep(QUIET);
        let now = server.peak()?;
        // The server grows by this much for other reasons.
        if now <= peak + (64 << 10) || began.elapsed() > PATIENCE {
            return Ok(now);
        }
        peak = now;
    }
}
