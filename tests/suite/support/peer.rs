//! [`Peer`]: a hand-made WebSocket endpoint on a blocking socket. It can send invalid data, and
//! shares no code with Prism's state machines.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
};

pub(crate) use prism_tests::raw::encode;
use prism_tests::raw::request;

use super::{TIMEOUT, head::Head, short};

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    /// Whether it is a client: clients mask their frames, servers do not.
    masks: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Peer {
    /// Connects a client that sends nothing yet.
    pub(crate) fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT).expect("a server listens");
        Self::from_stream(stream, true)
    }

    /// Creates a peer from a connected socket.
    pub(crate) fn from_stream(stream: TcpStream, masks: bool) -> Self {
        stream.set_read_timeout(Some(TIMEOUT)).expect("a socket");
        stream.set_write_timeout(Some(TIMEOUT)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, buffer: Vec::new(), masks }
    }

    /// Accepts a connection as a server, and returns it with the request, which is not answered
    /// yet.
    pub(crate) fn accept(listener: &TcpListener) -> (Self, Head) {
        let (stream, _) = listener.accept().expect("a client connects");
        let mut peer = Self::from_stream(stream, false);
        let request = peer.head();
        (peer, request)
    }

    /// Accepts a connection as a server, and completes the handshake.
    pub(crate) fn accept_websocket(listener: &TcpListener) -> Self {
        let (mut peer, request) = Self::accept(listener);
        peer.write(Self::upgrade_response(&request).as_bytes());
        peer
    }

    /// Returns the 101 response to a request.
    pub(crate) fn upgrade_response(request: &Head) -> String {
        let key = request.field("Sec-WebSocket-Key").expect("a key");
        let accept = prism_core::accept_key(key);
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            accept.as_str()
        )
    }

    /// Returns a valid opening handshake request.
    pub(crate) fn request(path: &str) -> String {
        request(path)
    }

    // ---- sending

    #[track_caller]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the other end reads");
    }

    #[track_caller]
    pub(crate) fn send(&mut self, opcode: u8, payload: &[u8]) {
        let frame = self.encode(true, opcode, payload);
        self.write(&frame);
    }

    #[track_caller]
    pub(crate) fn send_close(&mut self, code: u16, reason: &str) {
        self.send(CLOSE, &close_payload(code, reason));
    }

    /// Encodes a frame, masked if this is a client.
    pub(crate) fn encode(&self, fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
        encode(self.masks, fin, opcode, payload)
    }

    /// Shuts down the sending direction, without a close frame.
    pub(crate) fn send_eof(&self) {
        self.stream.shutdown(Shutdown::Write).expect("a connected socket");
    }

    /// Resets the connection by dropping it with unread bytes, for which it waits.
    pub(crate) fn reset(self) {
        assert!(self.buffer.is_empty());
        let unread = self.stream.peek(&mut [0]).expect("bytes to leave unread");
        assert_eq!(unread, 1, "the other end has ended already");
    }

    // ---- receiving

    /// Reads a head. Bytes after it are kept for later.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Head {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return Head::parse(std::str::from_utf8(&head[..end]).expect("text"));
            }
            assert!(self.fill(), "ended inside a head: {:?}", self.buffer.escape_ascii());
        }
    }

    /// Takes the bytes that were received but not parsed yet.
    pub(crate) fn take_input(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// Reads a complete HTTP response: its head, and its body up to the end of the stream.
    #[track_caller]
    pub(crate) fn response(&mut self) -> (Head, String) {
        (self.head(), self.rest())
    }

    /// Reads text up to the end of the stream.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> String {
        while self.fill() {}
        String::from_utf8(std::mem::take(&mut self.buffer)).expect("text")
    }

    /// Receives a frame, or `None` at the end of the stream.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, len)) = self.parse() {
                self.buffer.drain(..len);
                return Some(frame);
            }
            if !self.fill() {
                assert!(self.buffer.is_empty(), "ended inside a frame: {:?}", self.buffer);
                return None;
            }
        }
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, opcode: u8, payload: &[u8]) {
        let frame = self.next().expect("a frame, but the other end has ended");
        let expected = Frame { fin: true, opcode, payload: payload.to_vec() };
        assert!(frame == expected, "expected {}, but {}", short(&expected), short(&frame));
    }

    /// Expects a close frame with this code and reason.
    #[track_caller]
    pub(crate) fn expect_close(&mut self, code: u16, reason: &str) {
        self.expect(CLOSE, &close_payload(code, reason));
    }

    /// Expects a close frame with this code and any non-empty reason.
    #[track_caller]
    pub(crate) fn expect_close_with_reason(&mut self, code: u16) {
        let frame = self.next().expect("a close frame, but the other end has ended");
        assert_eq!(frame.opcode, CLOSE, "{}", short(&frame));
        let (received, reason) = frame.payload.split_at(2);
        let reason = str::from_utf8(reason).expect("UTF-8");
        assert_eq!(received, code.to_be_bytes(), "{reason}");
        assert!(!reason.is_empty(), "{code} without a reason");
    }

    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        assert_eq!(self.next(), None, "expected the end");
    }

    /// Discards input until the connection has ended or is reset.
    pub(crate) fn expect_disconnect(mut self) {
        let mut scratch = vec![0; 1 << 16];
        loop {
            match self.stream.read(&mut scratch) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) => panic!("expected the end, but {error}"),
            }
        }
    }

    /// Sends a close frame, and waits until the connection has ended.
    pub(crate) fn close_and_expect_disconnect(mut self) {
        self.send_close(1000, "");
        self.expect_disconnect();
    }

    /// Waits for input, and returns whether any came before the end of the stream.
    pub(crate) fn receives_something(&self) -> bool {
        !self.buffer.is_empty() || matches!(self.stream.peek(&mut [0]), Ok(1..))
    }

    /// Returns whether there is no unread input at this moment.
    pub(crate) fn has_no_input(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("a socket");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("a socket");
        self.buffer.is_empty() && peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Reads more input, and returns `false` at the end of the stream.
    #[track_caller]
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 << 10];
        let count = self.stream.read(&mut chunk).expect("more input or the end of the stream");
        self.buffer.extend(&chunk[..count]);
        count > 0
    }

    fn parse(&self) -> Option<(Frame, usize)> {
        let (&[first, second], rest) = self.buffer.split_first_chunk()?;
        assert_eq!(first & 0x70, 0, "reserved bits");
        assert_eq!(second & 0x80 != 0, !self.masks, "clients mask, servers do not");
        let (len, rest) = match second & 0x7f {
            126 => {
                let (len, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*len)), rest)
            }
            127 => {
                let (len, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*len), rest)
            }
            len => (u64::from(len), rest),
        };
        let (key, rest) = if self.masks { ([0; 4], rest) } else { split_key(rest)? };
        let len = usize::try_from(len).expect("a length that fits");
        let payload = rest.get(..len)?;
        let unmasked = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        let frame =
            Frame { fin: first & 0x80 != 0, opcode: first & 0x0f, payload: unmasked.collect() };
        Some((frame, self.buffer.len() - rest.len() + len))
    }
}

pub(crate) fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

fn split_key(bytes: &[u8]) -> Option<([u8; 4], &[u8])> {
    bytes.split_first_chunk().map(|(key, rest)| (*key, rest))
}
