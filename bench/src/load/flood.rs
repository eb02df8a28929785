//! Attackers that send as fast as the server accepts it.

use std::{
    io,
    net::SocketAddr,
    str::FromStr,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use mio::{Events, Poll};
use prism_core::{Header, OpCode};

use super::{
    Payload, bombs,
    client::{self, READ_SIZE, Site},
};

/// How many bytes are sent on one connection before the next one's turn.
const AT_ONCE: usize = 256 << 10;

/// The longest wait before the clock is read again.
const LOOK: Duration = Duration::from_millis(100);

/// How many fragments a message of fragments has: fewer than an unfinished message may be long.
const FRAGMENTS: usize = 1 << 16;

/// What is sent endlessly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Messages without payload. Their echoes are read.
    Empty,
    /// Messages in fragments of one byte. Their echoes are read.
    Fragments,
    /// Messages of a megabyte. Their echoes are read: a server stops reading from a peer whose echoes
    /// it cannot send.
    Large,
    /// Compressed messages of a MiB of zeros. Their echoes are read, as are those of the next two.
    Bombs,
    /// Compressed messages without content, in blocks that take long to read.
    Blocks,
    /// Compressed messages of 32 KiB with many final blocks.
    FinalBlocks,
    /// Empty pings. Their pongs are not read: unread pongs do not stop a server from reading.
    Pings,
}

/// A flood on several connections.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// What is sent.
    pub kind: Kind,
    /// How many attackers there are, each with one connection.
    pub attackers: usize,
    /// How long they send.
    pub duration: Duration,
}

impl Flood {
    /// Floods, and returns how many bytes per second the server took. Prints `flooding` once all attackers
    /// are connected.
    ///
    /// # Errors
    /// If the server fails a connection.
    pub fn run(&self, address: SocketAddr) -> io::Result<f64> {
        let mut poll = Poll::new()?;
        let mut site = Site::from(address);
        if matches!(self.kind, Kind::Bombs | Kind::Blocks | Kind::FinalBlocks) {
            site = site.offering(bombs::OFFER);
        }
        let mut attackers = client::open(&mut poll, site, self.attackers)?;
        let pattern = self.kind.pattern();
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_SIZE];
        let (began, mut sent) = (Instant::now(), 0);
        println!("flooding");
        while began.elapsed() < self.duration {
            let mut progress = 0;
            for attacker in &mut attackers {
                let pushed = attacker.push(&pattern, AT_ONCE)?;
                sent += pushed;
                progress += pushed;
                if self.kind != Kind::Pings {
                    progress += attacker.discard(&mut buffer)?;
                }
            }
            if progress == 0 {
                poll.poll(&mut events, Some(LOOK))?;
            }
        }
        Ok(sent as f64 / began.elapsed().as_secs_f64())
    }
}

impl Kind {
    /// Returns enough frames for large writes.
    fn pattern(self) -> Vec<u8> {
        let many = |frame: Vec<u8>| frame.repeat(AT_ONCE.div_ceil(frame.len()));
        match self {
            Self::Empty => many(Payload { size: 0, text: false }.frame()),
            Self::Fragments => fragments(FRAGMENTS),
            Self::Large => Payload { size: 1_000_000, text: false }.frame(),
            Self::Bombs => many(bombs::zeros(1 << 20)),
            Self::Blocks => many(bombs::blocks()),
            Self::FinalBlocks => many(bombs::final_blocks()),
            Self::Pings => many(frame(OpCode::Ping, true, &[])),
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "empty" => Ok(Self::Empty),
            "fragments" => Ok(Self::Fragments),
            "large" => Ok(Self::Large),
            "bombs" => Ok(Self::Bombs),
            "blocks" => Ok(Self::Blocks),
            "final-blocks" => Ok(Self::FinalBlocks),
            "pings" => Ok(Self::Pings),
            _ => Err(format!("unknown flood {word}")),
        }
    }
}

/// Returns a message in this many fragments of one byte.
pub(super) fn fragments(count: usize) -> Vec<u8> {
    let fragment = |number: usize| {
        let opcode = if number == 0 { OpCode::Binary } else { OpCode::Continuation };
        frame(opcode, number + 1 == count, b"a")
    };
    (0..count).flat_map(fragment).collect()
}

/// Returns a frame that is masked with zeros.
pub(super) fn frame(opcode: OpCode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut wire = BytesMut::new();
    let len = payload.len() as u64;
    Header { fin, rsv1: false, opcode, mask: Some([0; 4]), len }.encode(&mut wire);
    wire.extend_from_slice(payload);
    wire.into()
}

#[cfg(test)]
mod tests {
    use prism_core::{Config, Event, RecvBuffer, WebSocket};

    use super::*;

    /// Returns the lengths of the messages, and the number of pings.
    fn received(bytes: &[u8]) -> (Vec<usize>, usize) {
        let mut socket = WebSocket::server(&Config::default());
        let (mut input, mut out) = (RecvBuffer::new(), BytesMut::new());
        input.extend_from_slice(bytes);
        let (mut messages, mut pings) = (Vec::new(), 0);
        while let Some(event) = socket.receive(&mut input, &mut out).expect("a valid flood") {
            match event {
                Event::Message(message) => messages.push(message.as_bytes().len()),
                Event::Ping(_) => pings += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(input.is_empty(), "it ends where a message ends");
        (messages, pings)
    }

    #[test]
    fn floods_are_valid_and_can_be_repeated() {
        for repeated in 1..=2 {
            let flood = |kind: Kind| received(&kind.pattern().repeat(repeated));
            let count = |frame: usize| AT_ONCE.div_ceil(frame) * repeated;
            assert_eq!(flood(Kind::Empty), (vec![0; count(6)], 0));
            assert_eq!(flood(Kind::Fragments), (vec![FRAGMENTS; repeated], 0));
            assert_eq!(flood(Kind::Large), (vec![1_000_000; repeated], 0));
            assert_eq!(flood(Kind::Pings), (vec![], count(6)));
        }
    }
}
