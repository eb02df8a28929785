//! Load on the example `rooms`: clients that are in very many rooms, and attackers that list the rooms.

use std::{
    io,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use mio::{Events, Poll};
use prism_core::OpCode;

use super::{
    client::{self, AT_ONCE, Client, PATIENCE, READ_SIZE, Site},
    flood::frame,
};

/// The path of the example's WebSocket.
const PATH: &str = "/ws";

/// How many rooms one connection may be in.
const ROOMS_EACH: usize = 32;

/// How many messages the example sends for each room joined: the arrival, and the state.
const TOLD_EACH: u64 = 2;

/// Connections that are each alone in as many rooms as they may be.
#[derive(Clone, Copy, Debug)]
pub struct Residents {
    /// How many connections.
    pub connections: usize,
    /// How long they stay.
    pub duration: Duration,
}

impl Residents {
    /// Joins, and stays. Prints `joined` when all have joined.
    ///
    /// # Errors
    /// If the server fails a connection, or refuses one.
    pub fn run(&self, address: SocketAddr) -> io::Result<()> {
        let mut poll = Poll::new()?;
        let mut clients = client::open(&mut poll, Site::new(address, PATH), self.connections)?;
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_SIZE];
        let (mut begun, mut done) = (0, 0);
        // The example also sends the name.
        let all = 1 + TOLD_EACH * ROOMS_EACH as u64;
        while done < clients.len() {
            while begun < clients.len().min(done + AT_ONCE) {
                let joins = joins(begun);
                clients[begun].send(&joins, joins.len())?;
                begun += 1;
            }
            client::wait(&mut poll, &mut events)?;
            for event in &events {
                let client = &mut clients[event.token().0];
                let before = client.messages;
                client.receive(&mut buffer)?;
                done += usize::from(before < all && client.messages >= all);
            }
        }
        println!("joined");
        thread::sleep(self.duration);
        Ok(())
    }
}

/// Returns what one connection sends to join its rooms, whose names have the maximum length.
fn joins(connection: usize) -> Vec<u8> {
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

/// Attackers that list the rooms, and reconnect to list them again.
#[derive(Clone, Copy, Debug)]
pub struct Askers {
    /// The number of attackers.
    pub attackers: usize,
    /// How many requests each sends at once before it reconnects.
    pub questions: usize,
    /// How long they send requests.
    pub duration: Duration,
}

impl Askers {
    /// Sends requests, and returns how many answers per second there were. Prints `flooding` at the start.
    ///
    /// # Errors
    /// If the server fails a connection.
    pub fn run(&self, address: SocketAddr) -> io::Result<f64> {
        let (mut poll, site) = (Poll::new()?, Site::new(address, PATH));
        let questions = frame(OpCode::Text, true, b"/rooms").repeat(self.questions);
        let mut events = Events::with_capacity(64);
        let mut buffer = vec![0; READ_SIZE];
        let mut attackers = (0..self.attackers)
            .map(|token| Client::connect(&site, poll.registry(), token))
            .collect::<io::Result<Vec<_>>>()?;
        let mut asks = vec![false; self.attackers];
        println!("flooding");
        let (began, mut answers) = (Instant::now(), 0);
        while began.elapsed() < self.duration {
            poll.poll(&mut events, Some(PATIENCE))?;
            for event in &events {
                let token = event.token().0;
                let attacker = &mut attackers[token];
                if asks[token] {
                    answers += attacker.receive(&mut buffer)?.messages;
                } else if attacker.advance(event, &mut buffer)? {
                    attacker.send(&questions, questions.len())?;
                    asks[token] = true;
                }
                // One of the messages is the name.
                if attacker.messages > self.questions as u64 {
                    *attacker = Client::connect(&site, poll.registry(), token)?;
                    asks[token] = false;
                }
            }
        }
        Ok(answers as f64 / began.elapsed().as_secs_f64())
    }
}
