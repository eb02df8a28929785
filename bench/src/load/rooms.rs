//! The example `rooms`: those who sit in very many rooms, and those who ask which rooms there are.

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

/// Where the example serves.
const PATH: &str = "/ws";

/// How many rooms one connection may be in there.
const ROOMS_EACH: usize = 32;

/// What it tells about each room that one has joined: who came, and who is there.
const TOLD_EACH: u64 = 2;

/// Connections that are in as many rooms as they may be, alone in each.
#[derive(Clone, Copy, Debug)]
pub struct Residents {
    /// How many connections.
    pub connections: usize,
    /// How long they stay.
    pub duration: Duration,
}

impl Residents {
    /// Joins, and stays. Says `joined` when all are in.
    ///
    /// # Errors
    /// If the server fails a connection, or does not let them in.
    pub fn run(&self, address: SocketAddr) -> io::Result<()> {
        let mut poll = Poll::new()?;
        let mut clients = client::open(&mut poll, Site::new(address, PATH), self.connections)?;
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_SIZE];
        let (mut begun, mut done) = (0, 0);
        // It has told its name as well.
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

/// What one connection sends to join its rooms, whose names are as long as they may be.
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

/// Attackers that ask which rooms there are, and come back to ask again.
#[derive(Clone, Copy, Debug)]
pub struct Askers {
    /// How many there are.
    pub attackers: usize,
    /// How often each asks, all at once, before it comes back.
    pub questions: usize,
    /// How long they ask.
    pub duration: Duration,
}

impl Askers {
    /// Asks; how many answers a second there were. Says `flooding` when it begins.
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
                // Its name is one of the messages.
                if attacker.messages > self.questions as u64 {
                    *attacker = Client::connect(&site, poll.registry(), token)?;
                    asks[token] = false;
                }
            }
        }
        Ok(answers as f64 / began.elapsed().as_secs_f64())
    }
}
