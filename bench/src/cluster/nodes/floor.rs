//! The yardstick: about the least that a node on tokio can do. As the one of the other benchmarks, it has no limits, no
//! control frames, no real handshake, and does not wait for complete frames. It does not reconnect to Redis, and
//! members never leave.
//!
//! What is published are the bytes that members are sent. So the other node passes them on as they are.

use std::{
    collections::HashMap,
    io, mem, process,
    sync::{Arc, Mutex},
};

use tokio::{net::TcpStream, sync::Notify};

use crate::servers::{
    floor::{self, Frames, Rests},
    on_tokio,
};

/// The most bytes that one read from Redis takes.
const READ_SIZE: usize = 64 << 10;

/// What published bytes begin with: the node that has published them.
type Origin = [u8; 4];

struct Node {
    origin: Origin,
    /// The members of each room.
    members: Mutex<HashMap<Vec<u8>, Vec<Arc<TcpStream>>>>,
    publisher: Commands,
    listener: Commands,
}

/// A connection to Redis, and the commands for it. Those that accumulate leave in one write.
struct Commands {
    stream: TcpStream,
    outgoing: Mutex<Vec<u8>>,
    added: Notify,
}

pub(super) async fn serve(address: &str, redis: &str) -> io::Result<()> {
    let redis = redis.trim_start_matches("redis://").trim_end_matches('/');
    let node = Arc::new(Node {
        origin: process::id().to_be_bytes(),
        members: Mutex::default(),
        publisher: Commands::connect(redis).await?,
        listener: Commands::connect(redis).await?,
    });
    node.publisher.add(&[b"CLIENT", b"REPLY", b"OFF"]);
    run({
        let node = node.clone();
        async move { node.publisher.send().await }
    });
    run({
        let node = node.clone();
        async move { node.listener.send().await }
    });
    run({
        let node = node.clone();
        async move { node.listen().await }
    });
    on_tokio::accept(address, move |stream| {
        let node = node.clone();
        async move { drop(node.serve_member(stream).await) }
    })
    .await
}

/// Runs a part of the node, without which it cannot go on.
fn run(part: impl Future<Output = io::Result<()>> + Send + 'static) {
    tokio::spawn(async {
        let Err(error) = part.await else { return };
        eprintln!("{error}");
        process::exit(1);
    });
}

impl Node {
    async fn serve_member(&self, mut stream: TcpStream) -> io::Result<()> {
        let request = floor::handshake(&mut stream).await?;
        let room = request.split(|byte| *byte == b' ').nth(1).unwrap_or_default().to_vec();
        let stream = Arc::new(stream);
        if self.join(&room, &stream) {
            self.listener.add(&[b"SUBSCRIBE", &room]);
        }
        let mut frames = Frames::default();
        loop {
            stream.readable().await?;
            let passed_on = floor::read(&stream, &mut frames, |bytes| {
                self.publisher.add(&[b"PUBLISH", &room, &[&self.origin, bytes].concat()]);
                self.deliver(&room, bytes, Some(&stream))
            });
            match passed_on {
                Ok(None) => return Ok(()),
                Ok(Some(rests)) => write_rests(rests).await?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns whether the room is new.
    fn join(&self, room: &[u8], stream: &Arc<TcpStream>) -> bool {
        let mut rooms = self.members.lock().unwrap();
        let members = rooms.entry(room.to_vec()).or_default();
        members.push(stream.clone());
        members.len() == 1
    }

    /// Writes to all members of a room but this one.
    fn deliver(&self, room: &[u8], bytes: &[u8], except: Option<&Arc<TcpStream>>) -> Rests {
        let mut rests = Rests::new();
        for member in self.members.lock().unwrap().get(room).into_iter().flatten() {
            if except.is_none_or(|except| !Arc::ptr_eq(member, except)) {
                floor::write(member, bytes, &mut rests);
            }
        }
        rests
    }

    /// Delivers what other nodes publish.
    async fn listen(&self) -> io::Result<()> {
        let stream = &self.listener.stream;
        let (mut buffer, mut len) = (vec![0; READ_SIZE], 0);
        loop {
            stream.readable().await?;
            match stream.try_read(&mut buffer[len..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            let mut used = 0;
            while let Some(([kind, room, payload], size)) = push(&buffer[used..len]) {
                used += size;
                if kind == b"message" && !payload.starts_with(&self.origin) {
                    let bytes = &payload[size_of::<Origin>()..];
                    write_rests(self.deliver(room, bytes, None)).await?;
                }
            }
            buffer.copy_within(used..len, 0);
            len -= used;
        }
    }
}

impl Commands {
    async fn connect(redis: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(redis).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, outgoing: Mutex::default(), added: Notify::new() })
    }

    fn add(&self, words: &[&[u8]]) {
        let mut outgoing = self.outgoing.lock().unwrap();
        outgoing.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            outgoing.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            outgoing.extend_from_slice(word);
            outgoing.extend_from_slice(b"\r\n");
        }
        drop(outgoing);
        self.added.notify_one();
    }

    async fn send(&self) -> io::Result<()> {
        let mut commands = Vec::new();
        loop {
            self.added.notified().await;
            mem::swap(&mut commands, &mut *self.outgoing.lock().unwrap());
            floor::write_all(&self.stream, &commands).await?;
            commands.clear();
        }
    }
}

async fn write_rests(rests: Rests) -> io::Result<()> {
    for (stream, rest) in rests {
        floor::write_all(&stream, &rest).await?;
    }
    Ok(())
}

/// Reads an array of three values, and returns how many bytes it has; `None` if it is not complete.
fn push(bytes: &[u8]) -> Option<([&[u8]; 3], usize)> {
    let (_, mut at) = line(bytes, 0)?;
    let mut values = [&[][..]; 3];
    for value in &mut values {
        let (head, begin) = line(bytes, at)?;
        at = begin;
        if let Some(len) = head.strip_prefix(b"$") {
            let len: usize = std::str::from_utf8(len).ok()?.parse().ok()?;
            *value = bytes.get(begin..begin + len)?;
            at = begin + len + 2;
        }
    }
    (at <= bytes.len()).then_some((values, at))
}

/// Returns the line that begins there, and where the next one does.
fn line(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(at..)?;
    let len = rest.windows(2).position(|end| end == b"\r\n")?;
    Some((&rest[..len], at + len + 2))
}

#[cfg(test)]
mod tests {
    use super::push;

    #[test]
    fn what_redis_pushes_is_read_when_it_is_complete() {
        let subscribed = b"*3\r\n$9\r\nsubscribe\r\n$3\r\ntea\r\n:1\r\n";
        let message = b"*3\r\n$7\r\nmessage\r\n$3\r\ntea\r\n$4\r\na\r\nb\r\n";
        let both = [&subscribed[..], message].concat();
        assert_eq!(push(&both).unwrap().1, subscribed.len());
        for len in 0..message.len() {
            assert_eq!(push(&message[..len]), None, "{len}");
        }
        let expected = [&b"message"[..], b"tea", b"a\r\nb"];
        assert_eq!(push(message), Some((expected, message.len())));
    }
}
