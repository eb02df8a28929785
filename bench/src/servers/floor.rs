//! The yardstick: about the least that tokio can do. It has no limits, no fragmentation, no control frames
//! and no text check, and its handshake is a constant.
//!
//! Frames pass through: each read into the thread's single buffer leaves in one write, unmasked in place,
//! whether or not it ends at the end of a frame.

use std::{
    cell::RefCell,
    io,
    sync::{Arc, Mutex},
};

use tokio::{io::AsyncReadExt, net::TcpStream};

use super::on_tokio;
use crate::xor::xor;

/// The answer to the key that the load generator sends.
pub(super) const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; 64 << 10].into());
}

type Members = Arc<Mutex<Vec<Arc<TcpStream>>>>;

pub(super) fn echo(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve(address, threads, |stream| async { drop(session(stream, None).await) })
}

pub(super) fn broadcast(address: &str, threads: usize) -> io::Result<()> {
    let members = Members::default();
    on_tokio::serve(address, threads, move |stream| {
        let members = members.clone();
        async { drop(session(stream, Some(members)).await) }
    })
}

async fn session(mut stream: TcpStream, members: Option<Members>) -> io::Result<()> {
    handshake(&mut stream).await?;
    let stream = Arc::new(stream);
    if let Some(members) = &members {
        members.lock().unwrap().push(stream.clone());
    }
    let mut frames = Frames::default();
    loop {
        stream.readable().await?;
        match turn(&stream, &mut frames, members.as_ref()) {
            Ok(None) => return Ok(()),
            Ok(Some(rests)) => {
                for (stream, rest) in rests {
                    write_all(&stream, &rest).await?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Answers a request, and returns it.
pub(crate) async fn handshake(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::with_capacity(1024);
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    write_all(stream, SWITCHING).await?;
    Ok(request)
}

/// What sockets did not take at once.
pub(crate) type Rests = Vec<(Arc<TcpStream>, Vec<u8>)>;

/// Reads once, and writes the bytes; `None` at the end of the stream.
fn turn(
    stream: &Arc<TcpStream>,
    frames: &mut Frames,
    members: Option<&Members>,
) -> io::Result<Option<Rests>> {
    read(stream, frames, |output| {
        let mut rests = Vec::new();
        match members {
            None => write(stream, output, &mut rests),
            Some(members) => {
                members.lock().unwrap().iter().for_each(|stream| write(stream, output, &mut rests));
            }
        }
        rests
    })
}

/// Reads once, and passes on the bytes as a server sends them; `None` at the end of the stream.
pub(crate) fn read<T>(
    stream: &TcpStream,
    frames: &mut Frames,
    pass_on: impl FnOnce(&[u8]) -> T,
) -> io::Result<Option<T>> {
    BUFFER.with_borrow_mut(|buffer| {
        let held = frames.restore_head(buffer);
        let read = stream.try_read(&mut buffer[held..])?;
        if read == 0 {
            return Ok(None);
        }
        let output = frames.turn_around(buffer, held + read);
        Ok(Some(pass_on(&buffer[..output])))
    })
}

/// Writes as much as fits, and adds the rest to `rests`.
pub(crate) fn write(stream: &Arc<TcpStream>, bytes: &[u8], rests: &mut Rests) {
    let written = stream.try_write(bytes).unwrap_or(0);
    if written < bytes.len() {
        rests.push((stream.clone(), bytes[written..].to_vec()));
    }
}

pub(crate) async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The position in a stream of frames.
#[derive(Default)]
pub(crate) struct Frames {
    /// How much of the current payload is still to come, and the mask for its next byte.
    left: usize,
    mask: [u8; 4],
    /// An incomplete header.
    head: [u8; 14],
    head_len: usize,
}

impl Frames {
    fn restore_head(&self, buffer: &mut [u8]) -> usize {
        buffer[..self.head_len].copy_from_slice(&self.head[..self.head_len]);
        self.head_len
    }

    /// Turns the first `end` bytes into replies, in place, and returns their length.
    fn turn_around(&mut self, buffer: &mut [u8], end: usize) -> usize {
        let (mut input, mut output) = (0, 0);
        self.head_len = 0;
        loop {
            let len = self.left.min(end - input);
            if input != output {
                buffer.copy_within(input..input + len, output);
            }
            xor(&mut buffer[output..output + len], self.mask);
            self.mask.rotate_left(len % 4);
            self.left -= len;
            input += len;
            output += len;
            let Some((head_len, payload)) = head(&buffer[input..end]) else { break };
            self.mask.copy_from_slice(&buffer[input + head_len - 4..input + head_len]);
            self.left = payload;
            buffer.copy_within(input..input + head_len - 4, output);
            buffer[output + 1] &= 0x7F;
            input += head_len;
            output += head_len - 4;
        }
        self.head_len = end - input;
        self.head[..self.head_len].copy_from_slice(&buffer[input..end]);
        output
    }
}

/// Returns the lengths of a masked frame's header and payload, if the header is complete.
fn head(bytes: &[u8]) -> Option<(usize, usize)> {
    let len = usize::from(bytes.get(1)? & 0x7F);
    let (head, payload) = match len {
        126 => (8, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (14, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?).try_into().ok()?),
        _ => (6, len),
    };
    (bytes.len() >= head).then_some((head, payload))
}
