//! One connection of the load generator, and opening many of them.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Registry, Token, event::Event, net::TcpStream};
use rustls::ClientConfig;

use super::{
    Tls,
    reader::{Reader, Seen},
    tls::Stream,
};

/// How many handshakes run at once.
pub(super) const AT_ONCE: usize = 64;

/// How long to wait before the server counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes that one `read` takes.
pub(crate) const READ_SIZE: usize = 256 << 10;

/// A server's address, and the request that opens a connection.
#[derive(Clone)]
pub(super) struct Site {
    address: SocketAddr,
    request: Rc<[u8]>,
    tls: Option<Arc<ClientConfig>>,
}

const EXTENSIONS: &str = "Sec-WebSocket-Extensions";

/// An empty ping, masked with zeros.
pub(super) const PING: &[u8] = &[0x89, 0x80, 0, 0, 0, 0];

/// An empty pong, masked with zeros.
const PONG: &[u8] = &[0x8A, 0x80, 0, 0, 0, 0];

pub(super) struct Client {
    stream: Stream,
    reader: Reader,
    stage: Stage,
    /// How many bytes of the pattern are due, and the position in it.
    due: usize,
    at: usize,
    /// How many messages it has received.
    pub(super) messages: u64,
    /// How many of those were compressed.
    pub(super) compressed: u64,
    /// The extensions of the server's response.
    extensions: Option<String>,
    /// How many bytes it has sent, its request included.
    pub(super) sent: u64,
}

enum Stage {
    /// Connecting, with the request to send.
    Connecting(Rc<[u8]>),
    /// Waiting for the response, with what has arrived of it.
    Asked(Vec<u8>),
    Open,
}

impl Site {
    /// Creates the site of a server's route.
    pub(super) fn new(address: SocketAddr, path: &str) -> Self {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\n\
             Upgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        Self { address, request: request.into_bytes().into(), tls: None }
    }

    /// Speaks TLS, or does not.
    pub(super) fn over(self, tls: Option<Tls>) -> Self {
        Self { tls: tls.map(Tls::config), ..self }
    }

    /// Offers these extensions.
    pub(super) fn offering(self, extensions: &str) -> Self {
        let lines = self.request.strip_suffix(b"\r\n").expect("an empty line ends a request");
        let offer = format!("{EXTENSIONS}: {extensions}\r\n\r\n");
        Self { request: [lines, offer.as_bytes()].concat().into(), ..self }
    }
}

/// The servers of this package have one route.
impl From<SocketAddr> for Site {
    fn from(address: SocketAddr) -> Self {
        Self::new(address, "/")
    }
}

impl Client {
    /// Starts to connect.
    pub(super) fn connect(site: &Site, poll: &Registry, token: usize) -> io::Result<Self> {
        let mut socket = TcpStream::connect(site.address)?;
        poll.register(&mut socket, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        let stream = Stream::new(socket, site.tls.as_ref())?;
        let stage = Stage::Connecting(site.request.clone());
        Ok(Self {
            stream,
            reader: Reader::default(),
            stage,
            due: 0,
            at: 0,
            messages: 0,
            compressed: 0,
            extensions: None,
            sent: 0,
        })
    }

    /// Continues the handshake, and returns whether it is done.
    pub(super) fn advance(&mut self, event: &Event, buffer: &mut [u8]) -> io::Result<bool> {
        match &mut self.stage {
            Stage::Connecting(request) if event.is_writable() => {
                if let Some(error) = self.stream.socket().take_error()? {
                    return Err(error);
                }
                self.stream.socket().set_nodelay(true)?;
                if self.stream.write(request)? < request.len() {
                    return Err(io::Error::other("a request did not fit a fresh socket"));
                }
                self.sent += request.len() as u64;
                self.stage = Stage::Asked(Vec::new());
                Ok(false)
            }
            Stage::Asked(response) if event.is_readable() => {
                let len = match self.stream.read(buffer) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(len) => len,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) => return Err(error),
                };
                response.extend_from_slice(&buffer[..len]);
                let Some(end) = response.windows(4).position(|window| window == b"\r\n\r\n") else {
                    return Ok(false);
                };
                if !response.starts_with(b"HTTP/1.1 101") {
                    return Err(io::Error::other("a handshake was refused"));
                }
                self.extensions = header(&response[..end], EXTENSIONS);
                let seen = self.reader.take(&response[end + 4..])?;
                self.messages += seen.messages as u64;
                self.compressed += seen.compressed as u64;
                self.stage = Stage::Open;
                Ok(true)
            }
            Stage::Open => Ok(true),
            _ => Ok(false),
        }
    }

    /// Returns whether the handshake is done.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Returns whether the handshake of TLS resumed the session of an earlier connection.
    pub(super) fn is_resumed(&self) -> bool {
        self.stream.is_resumed()
    }

    /// Returns the extensions that the server has accepted.
    pub(super) fn extensions(&self) -> Option<&str> {
        self.extensions.as_deref()
    }

    /// Records the length of each message from now on.
    pub(super) fn record_lengths(&mut self) {
        self.reader.lens = Some(Vec::new());
    }

    /// Returns the recorded lengths.
    pub(super) fn lengths(&self) -> &[usize] {
        self.reader.lens.as_deref().unwrap_or_default()
    }

    /// Reads everything available.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Seen> {
        self.receive_with(buffer, |_| {})
    }

    /// Reads everything available, and also shows it to `look`.
    pub(super) fn receive_with(
        &mut self,
        buffer: &mut [u8],
        mut look: impl FnMut(&[u8]),
    ) -> io::Result<Seen> {
        let mut all = Seen::default();
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    look(&buffer[..len]);
                    let seen = self.reader.take(&buffer[..len])?;
                    self.messages += seen.messages as u64;
                    self.compressed += seen.compressed as u64;
                    all.messages += seen.messages;
                    all.pings += seen.pings;
                    all.pongs += seen.pongs;
                    if self.stream.is_empty_after(len, buffer) {
                        return Ok(all);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(all),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads everything available, and answers the pings in it. Call it only while nothing else is sent.
    pub(super) fn answer_pings(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let pings = self.receive(buffer)?.pings;
        self.send(PONG, pings * PONG.len())?;
        Ok(pings)
    }

    /// Reads everything available, drops it unseen, and returns how much it was.
    pub(super) fn discard(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut all = 0;
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) if self.stream.is_empty_after(len, buffer) => return Ok(all + len),
                Ok(len) => all += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(all),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends this many more bytes of the pattern, which repeats endlessly: as much as fits now, and the rest
    /// when this is called again.
    pub(super) fn send(&mut self, pattern: &[u8], more: usize) -> io::Result<()> {
        self.due += more;
        self.stream.flush()?;
        while self.due > 0 && self.push(pattern, self.due)? > 0 {}
        Ok(())
    }

    /// Sends the next bytes of the pattern by one write: as many as fit, but at most `most`. Returns how many
    /// those were.
    pub(super) fn push(&mut self, pattern: &[u8], most: usize) -> io::Result<usize> {
        let end = pattern.len().min(self.at + most);
        let len = match self.stream.write(&pattern[self.at..end]) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error),
        };
        self.due = self.due.saturating_sub(len);
        self.at = (self.at + len) % pattern.len();
        self.sent += len as u64;
        Ok(len)
    }

    /// Returns whether everything was sent.
    pub(super) const fn has_sent(&self) -> bool {
        self.due == 0
    }
}

/// Returns the value of a response's header.
fn header(response: &[u8], name: &str) -> Option<String> {
    let response = std::str::from_utf8(response).ok()?;
    response.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// Opens this many connections.
pub(super) fn open(
    poll: &mut Poll,
    site: impl Into<Site>,
    count: usize,
) -> io::Result<Vec<Client>> {
    let site = site.into();
    let mut events = Events::with_capacity(1024);
    let mut buffer = [0; 4096];
    let (mut clients, mut opened) = (Vec::<Client>::with_capacity(count), 0);
    while opened < count {
        while clients.len() < count.min(opened + AT_ONCE) {
            clients.push(Client::connect(&site, poll.registry(), clients.len())?);
        }
        wait(poll, &mut events)?;
        for event in &events {
            let client = &mut clients[event.token().0];
            if client.is_open() {
                client.answer_pings(&mut buffer)?; // opening many may take longer than the pong timeout
            } else if client.advance(event, &mut buffer)? {
                opened += 1;
            }
        }
    }
    Ok(clients)
}

/// Waits for events with a timeout, without sleeping. Waking a sleeping process would cost the server time,
/// which a client on another machine does not.
pub(super) fn watch(poll: &mut Poll, events: &mut Events) -> io::Result<()> {
    let begin = Instant::now();
    loop {
        poll.poll(events, Some(Duration::ZERO))?;
        if !events.is_empty() {
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// Waits for events with a timeout.
pub(super) fn wait(poll: &mut Poll, events: &mut Events) -> io::Result<()> {
    poll.poll(events, Some(PATIENCE))?;
    if events.is_empty() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_the_last_header_of_a_request() {
        let site = Site::new(([127, 0, 0, 1], 1).into(), "/").offering("permessage-deflate");
        let request = std::str::from_utf8(&site.request).unwrap();
        let (head, offer) = request.split_once(EXTENSIONS).unwrap();
        assert!(head.starts_with("GET / HTTP/1.1\r\n") && head.ends_with("\r\n"));
        assert_eq!(offer, ": permessage-deflate\r\n\r\n");
    }

    #[test]
    fn the_name_of_a_header_has_any_case() {
        let response = b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-extensions:  a; b=1";
        assert_eq!(header(response, EXTENSIONS).as_deref(), Some("a; b=1"));
        assert_eq!(header(response, "Upgrade"), None);
    }
}
