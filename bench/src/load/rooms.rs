//! Load on the example `rooms`: clients that are in very many rooms, and attackers that send expensive lines.

use std::{
    io,
    net::SocketAddr,
    str::FromStr,
    time::{Duration, Instant},
};

use mio::{Events, Poll};
use prism_core::OpCode;

use super::{
    client::{self, AT_ONCE, Client, PATIENCE, PING, READ_SIZE, Site},
    flood::frame,
};

/// The path of the example's WebSocket.
const PATH: &str = "/ws";

/// How many rooms one connection may be in.
const ROOMS_EACH: usize = 32;

/// Connections that are each in as many rooms as they may be.
#[derive(Clone, Copy, Debug)]
pub struct Residents {
    /// How many connections.
    pub connections: usize,
    /// Whether all are in the same rooms, instead of each alone in its own.
    pub together: bool,
    /// How long they stay.
    pub duration: Duration,
}

impl Residents {
    /// Joins, and then reads. Prints `joined` when all have joined.
    ///
    /// # Errors
    /// If the server fails a connection, or refuses one.
    pub fn run(&self, address: SocketAddr) -> io::Result<()> {
        let mut poll = Poll::new()?;
        let mut clients = client::open(&mut poll, Site::new(address, PATH), self.connections)?;
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_SIZE];
        let (mut begun, mut done) = (0, 0);
        while done < clients.len() {
            while begun < clients.len().min(done + AT_ONCE) {
                let rooms = if self.together { 0 } else { begun };
                let joins = [joins(rooms), PING.to_vec()].concat();
                clients[begun].send(&joins, joins.len())?;
                begun += 1;
            }
            client::wait(&mut poll, &mut events)?;
            for event in &events {
                done += clients[event.token().0].receive(&mut buffer)?.pongs;
            }
        }
        println!("joined");
        let until = Instant::now() + self.duration;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            poll.poll(&mut events, Some(left))?;
            for event in &events {
                clients[event.token().0].answer_pings(&mut buffer)?;
            }
        }
        Ok(())
    }
}

/// Returns what one connection sends to join its rooms, whose names have the maximum length.
pub(super) fn joins(connection: usize) -> Vec<u8> {
    let first = connection * ROOMS_EACH;
    let rooms = first..first + ROOMS_EACH;
    let join = |room: usize| {
        // 24 characters of four bytes each.
        let digits = format!("{room:024}");
        let name = digits.chars().map(|digit| match digit {
            '0' => '🦀',
            digit => char::from_u32(0x1F400 + u32::from(digit)).unwrap_or('🦀'),
        });
        frame(OpCode::Text, true, format!("/join {}", name.collect::<String>()).as_bytes())
    };
    rooms.flat_map(join).collect()
}

/// A line that costs the server far more than its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// A list of rooms.
    Rooms,
    /// A new name, from a member of as many rooms as one connection may be in.
    Name,
}

/// Attackers that send expensive lines, and reconnect to send them again.
#[derive(Clone, Copy, Debug)]
pub struct Askers {
    /// The line.
    pub question: Question,
    /// The number of attackers.
    pub attackers: usize,
    /// How many lines each sends at once before it reconnects.
    pub questions: usize,
    /// How long they send them.
    pub duration: Duration,
}

impl Askers {
    /// Sends lines, and returns how many of them per second were answered. Prints `flooding` at the start.
    ///
    /// # Errors
    /// If the server fails a connection.
    pub fn run(&self, address: SocketAddr) -> io::Result<f64> {
        let (mut poll, site) = (Poll::new()?, Site::new(address, PATH));
        let lines = self.question.lines(self.questions);
        let mut events = Events::with_capacity(64);
        let mut buffer = vec![0; READ_SIZE];
        let mut attackers = (0..self.attackers)
            .map(|token| Client::connect(&site, poll.registry(), token))
            .collect::<io::Result<Vec<_>>>()?;
        let mut asks = vec![false; self.attackers];
        println!("flooding");
        let (began, mut answered) = (Instant::now(), 0);
        while began.elapsed() < self.duration {
            poll.poll(&mut events, Some(PATIENCE))?;
            for event in &events {
                let token = event.token().0;
                let attacker = &mut attackers[token];
                if !asks[token] {
                    if attacker.advance(event, &mut buffer)? {
                        attacker.send(&lines, lines.len())?;
                        asks[token] = true;
                    }
                } else if attacker.receive(&mut buffer)?.pongs > 0 {
                    answered += self.questions;
                    *attacker = Client::connect(&site, poll.registry(), token)?;
                    asks[token] = false;
                }
            }
        }
        Ok(answered as f64 / began.elapsed().as_secs_f64())
    }
}

impl Question {
    /// Returns everything that a connection sends: this many lines, and a ping, whose pong shows that the server has
    /// handled them.
    fn lines(self, count: usize) -> Vec<u8> {
        let line = |text: &str| frame(OpCode::Text, true, text.as_bytes());
        let (mut lines, questions) = match self {
            Self::Rooms => (Vec::new(), [line("/rooms"), line("/rooms")]),
            Self::Name => (joins(0), [line("/name a"), line("/name b")]),
        };
        lines.extend(questions.iter().cycle().take(count).flatten());
        lines.extend(PING);
        lines
    }
}

impl FromStr for Question {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "rooms" => Ok(Self::Rooms),
            "name" => Ok(Self::Name),
            _ => Err(format!("unknown question {word}")),
        }
    }
}
