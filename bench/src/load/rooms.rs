//! Load on the example `rooms`: clients that are in very many rooms, and attackers that send expensive requests.

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

/// Returns what one connection sends to join its rooms.
fn joins(connection: usize) -> Vec<u8> {
    names(connection).flat_map(|room| join(&room)).collect()
}

/// Returns the names of a connection's rooms, which have the maximum length.
fn names(connection: usize) -> impl Iterator<Item = String> {
    let first = connection * ROOMS_EACH;
    let name = |room: usize| {
        // 24 characters of four bytes each.
        let digits = format!("{room:024}");
        let animals = digits.chars().map(|digit| match digit {
            '0' => '🦀',
            digit => char::from_u32(0x1F400 + u32::from(digit)).unwrap_or('🦀'),
        });
        animals.collect()
    };
    (first..first + ROOMS_EACH).map(name)
}

/// Returns a request to join a room, to be shown there, and to see who else is.
pub(super) fn join(room: &str) -> Vec<u8> {
    let meta = r#"{"name":"a","typing":false}"#;
    request(&format!(r#"{{"type":"join","room":"{room}","meta":{meta},"watch":true}}"#))
}

pub(super) fn request(json: &str) -> Vec<u8> {
    frame(OpCode::Text, true, json.as_bytes())
}

/// A request that costs the server far more than its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The state of a room with as many people as it may have.
    State,
    /// Other metadata, which all members of such a room are told.
    Change,
}

/// Attackers that send expensive requests, and reconnect to send them again.
#[derive(Clone, Copy, Debug)]
pub struct Askers {
    /// The request.
    pub question: Question,
    /// The number of attackers.
    pub attackers: usize,
    /// How many requests each sends at once before it reconnects.
    pub questions: usize,
    /// How long they send them.
    pub duration: Duration,
}

impl Askers {
    /// Sends requests, and returns how many of them per second were handled. Prints `flooding` at the start.
    ///
    /// # Errors
    /// If the server fails a connection.
    pub fn run(&self, address: SocketAddr) -> io::Result<f64> {
        let (mut poll, site) = (Poll::new()?, Site::new(address, PATH));
        let requests = self.question.requests(self.questions);
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
                        attacker.send(&requests, requests.len())?;
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
    /// Returns everything that a connection sends: it joins its rooms, asks this many times, each time in the next
    /// room, and pings. The pong shows that the server has handled all of it.
    fn requests(self, count: usize) -> Vec<u8> {
        let ask = |(number, room): (usize, String)| match self {
            Self::State => request(&format!(r#"{{"type":"watch","room":"{room}"}}"#)),
            Self::Change => {
                let name = ["b", "a"][number / ROOMS_EACH % 2];
                let meta = format!(r#"{{"name":"{name}","typing":false}}"#);
                request(&format!(r#"{{"type":"track","room":"{room}","meta":{meta}}}"#))
            }
        };
        let rooms: Vec<_> = names(0).collect();
        let mut requests = joins(0);
        requests.extend(rooms.into_iter().cycle().enumerate().take(count).flat_map(ask));
        requests.extend(PING);
        requests
    }
}

impl FromStr for Question {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "state" => Ok(Self::State),
            "change" => Ok(Self::Change),
            _ => Err(format!("unknown question {word}")),
        }
    }
}
