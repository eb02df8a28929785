//! [`Connection`]: one client.

use std::{
    io::{self, Read, Write},
    net::{self, SocketAddr},
};

use bytes::{Buf, BytesMut};
use mio::{Interest, Registry, Token, net::TcpStream};
use prism_core::{Header, OpCode};

use super::protocol::{Protocol, Said};
use crate::{frame, load::PATIENCE};

/// A fixed mask: it makes no difference to a node.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// The most bytes of a response to a handshake.
const MAX_RESPONSE: usize = 16 << 10;

pub(super) struct Connection {
    protocol: Protocol,
    stream: TcpStream,
    frames: Frames,
    /// What the socket did not take yet.
    outgoing: BytesMut,
    payload: Vec<u8>,
}

impl Connection {
    /// Opens the connection of a member of a room. It waits for that.
    ///
    /// # Errors
    /// If the node refuses it, or does not answer in time.
    pub(super) fn open(address: SocketAddr, protocol: Protocol, room: usize) -> io::Result<Self> {
        let mut stream = net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET {} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            protocol.target(room)
        )?;
        let mut buffer = [0; 4096];
        let mut received = read_response(&mut stream, &mut buffer)?;
        let (mut frames, mut is_open) = (Frames::default(), protocol.is_plain());
        while !is_open {
            let (mut answers, mut connected) = (BytesMut::new(), false);
            frames.take(&received, |opcode, payload| {
                if opcode == OpCode::Text {
                    let said = protocol.read(payload)?;
                    connected |= said == Said::Connected;
                    append_answer(&mut answers, said);
                }
                Ok(())
            })?;
            received.clear();
            stream.write_all(&answers)?;
            is_open = connected;
            if !is_open {
                let len = stream.read(&mut buffer)?;
                received.extend_from_slice(non_empty(&buffer[..len])?);
            }
        }
        // A plain node says nothing before it is spoken to.
        frames.take(&received, |_, _| Ok(()))?;
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream);
        Ok(Self { protocol, stream, frames, outgoing: BytesMut::new(), payload: Vec::new() })
    }

    pub(super) fn register(&mut self, registry: &Registry, token: usize) -> io::Result<()> {
        registry.register(&mut self.stream, Token(token), Interest::READABLE | Interest::WRITABLE)
    }

    /// Sends the message with this number: as much as fits now, and the rest by [`receive`](Self::receive).
    pub(super) fn publish(&mut self, number: u64) -> io::Result<()> {
        self.payload.clear();
        self.protocol.append_message(number, &mut self.payload);
        frame::append(&mut self.outgoing, true, Some(MASK), &self.payload);
        self.flush()
    }

    /// Reads everything available, passes on the numbers of messages, and sends what did not fit before.
    ///
    /// # Errors
    /// If the node ends the connection, or says nothing like it.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        mut arrived: impl FnMut(u64),
    ) -> io::Result<()> {
        let (protocol, outgoing) = (self.protocol, &mut self.outgoing);
        loop {
            let len = match self.stream.read(buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            self.frames.take(non_empty(&buffer[..len])?, |opcode, payload| {
                match opcode {
                    OpCode::Text => match protocol.read(payload)? {
                        Said::Message(number) => arrived(number),
                        said => append_answer(outgoing, said),
                    },
                    OpCode::Ping => append_pong(outgoing, payload),
                    OpCode::Pong => {}
                    _ => return Err(io::Error::other(format!("a node sent a {opcode:?} frame"))),
                }
                Ok(())
            })?;
            if len < buffer.len() {
                break; // what arrives from now on is another event
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(len) => self.outgoing.advance(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reads the response to a handshake, and returns what follows it.
fn read_response(stream: &mut net::TcpStream, buffer: &mut [u8]) -> io::Result<Vec<u8>> {
    let mut response = Vec::new();
    loop {
        let len = stream.read(buffer)?;
        response.extend_from_slice(non_empty(&buffer[..len])?);
        if let Some(end) = response.windows(4).position(|window| window == b"\r\n\r\n") {
            if !response.starts_with(b"HTTP/1.1 101") {
                let line = String::from_utf8_lossy(&response[..end]).into_owned();
                return Err(io::Error::other(format!("a node refused a handshake: {line}")));
            }
            return Ok(response.split_off(end + 4));
        }
        if response.len() > MAX_RESPONSE {
            return Err(io::Error::other("a node's response does not end"));
        }
    }
}

fn non_empty(bytes: &[u8]) -> io::Result<&[u8]> {
    if bytes.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a node ended a connection"));
    }
    Ok(bytes)
}

fn append_answer(outgoing: &mut BytesMut, said: Said) {
    if let Some(answer) = said.answer() {
        frame::append(outgoing, true, Some(MASK), answer);
    }
}

fn append_pong(outgoing: &mut BytesMut, payload: &[u8]) {
    let len = payload.len() as u64;
    Header { fin: true, rsv1: false, opcode: OpCode::Pong, mask: Some([0; 4]), len }
        .encode(outgoing);
    outgoing.extend_from_slice(payload);
}

/// A node's frames, which arrive in pieces.
#[derive(Default)]
struct Frames {
    /// The beginning of an incomplete frame.
    held: Vec<u8>,
}

impl Frames {
    /// Takes the next bytes, and passes on the opcode and the payload of each complete frame.
    fn take(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(OpCode, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.held.is_empty() {
            let used = complete_frames(bytes, &mut each)?;
            self.held.extend_from_slice(&bytes[used..]);
        } else {
            self.held.extend_from_slice(bytes);
            let used = complete_frames(&self.held, &mut each)?;
            self.held.drain(..used);
        }
        Ok(())
    }
}

/// Returns how many bytes the complete frames have.
fn complete_frames(
    bytes: &[u8],
    each: &mut impl FnMut(OpCode, &[u8]) -> io::Result<()>,
) -> io::Result<usize> {
    let mut used = 0;
    while let Some((header, head)) = Header::parse(&bytes[used..]).map_err(io::Error::other)? {
        let len = usize::try_from(header.len).map_err(io::Error::other)?;
        let Some(payload) = bytes[used + head..].get(..len) else { break };
        if !header.fin || header.rsv1 || header.mask.is_some() {
            return Err(io::Error::other(format!("a node sent a frame with {header:?}")));
        }
        each(header.opcode, payload)?;
        used += head + len;
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let mut stream = BytesMut::new();
        for len in [0, 5, 200] {
            frame::append(&mut stream, true, None, &vec![b'x'; len]);
        }
        stream.extend_from_slice(&[0x89, 1, b'p']);
        for piece in 1..=stream.len() {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for bytes in stream.chunks(piece) {
                let note = |opcode, payload: &[u8]| {
                    seen.push((opcode, payload.len()));
                    Ok(())
                };
                frames.take(bytes, note).unwrap();
            }
            let text = [0, 5, 200].map(|len| (OpCode::Text, len));
            assert_eq!(seen, [&text[..], &[(OpCode::Ping, 1)]].concat(), "in pieces of {piece}");
        }
    }

    #[test]
    fn a_fragment_is_refused() {
        let taken = Frames::default().take(&[0x01, 1, b'x'], |_, _| Ok(()));
        assert!(taken.unwrap_err().to_string().contains("fin: false"));
    }
}
