//! [`Clients`]: all publishers and receivers.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use super::{
    RECEIVERS, ROOMS,
    connection::Connection,
    protocol::{MAX_NUMBER, Protocol},
};
use crate::load::{PATIENCE, READ_SIZE};

/// The number of the messages that show whether a room is ready. They do not count.
pub(super) const PROBE: u64 = MAX_NUMBER;

/// How long to wait for a probe before another one is sent.
const PROBE_INTERVAL: Duration = Duration::from_millis(200);

/// How long it is quiet after the last probe.
const CALM: Duration = Duration::from_millis(200);

pub(super) struct Clients {
    poll: Poll,
    /// First the publisher of each room, and then the first receiver of each room, the second, and so on.
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

impl Clients {
    /// Opens all connections: the publishers to the first node, and the receivers to the second one. Returns when
    /// messages reach all receivers.
    ///
    /// # Errors
    /// If a node refuses a connection, or messages do not reach all receivers in time.
    pub(super) fn open(nodes: [SocketAddr; 2], protocol: Protocol) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(ROOMS * (1 + RECEIVERS));
        for place in 0..ROOMS * (1 + RECEIVERS) {
            let address = nodes[usize::from(place >= ROOMS)];
            let mut connection = Connection::open(address, protocol, place % ROOMS)?;
            connection.register(poll.registry(), place)?;
            connections.push(connection);
        }
        let mut clients = Self { poll, connections, buffer: vec![0; READ_SIZE] };
        clients.wait_until_reached()?;
        Ok(clients)
    }

    /// Publishes the message with this number in the room whose turn it is.
    pub(super) fn publish(&mut self, number: u64) -> io::Result<()> {
        self.connections[room_of(number)].publish(number)
    }

    /// Looks what has happened within this time.
    pub(super) fn poll(&mut self, events: &mut Events, timeout: Duration) -> io::Result<()> {
        self.poll.poll(events, Some(timeout))
    }

    /// Reads what has arrived at this place, and passes on the numbers of messages, but not of probes.
    ///
    /// # Errors
    /// If the connection has ended, or a message has arrived that is not for this connection.
    pub(super) fn receive(&mut self, place: usize, mut arrived: impl FnMut(u64)) -> io::Result<()> {
        let mut stray = None;
        self.connections[place].receive(&mut self.buffer, |number| {
            if place < ROOMS || (number != PROBE && room_of(number) != place % ROOMS) {
                stray = Some(number);
            } else if number != PROBE {
                arrived(number);
            }
        })?;
        match stray {
            Some(number) => Err(io::Error::other(format!("{number} has arrived at {place}"))),
            None => Ok(()),
        }
    }

    fn wait_until_reached(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut is_reached = vec![false; self.connections.len()];
        is_reached[..ROOMS].fill(true);
        let (began, mut due) = (Instant::now(), Instant::now());
        while is_reached.contains(&false) {
            if began.elapsed() > PATIENCE {
                let missing = is_reached.iter().filter(|is_reached| !**is_reached).count();
                let text = format!("messages do not reach {missing} receivers");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            if Instant::now() >= due {
                for room in 0..ROOMS {
                    if is_reached.iter().skip(room).step_by(ROOMS).any(|is_reached| !is_reached) {
                        self.connections[room].publish(PROBE)?;
                    }
                }
                due = Instant::now() + PROBE_INTERVAL;
            }
            self.poll(&mut events, Duration::from_millis(10))?;
            for event in &events {
                let place = event.token().0;
                let reached = &mut is_reached[place];
                self.connections[place].receive(&mut self.buffer, |_| *reached = true)?;
            }
        }
        self.drain(CALM)
    }

    /// Reads, and drops what it reads, for this long.
    fn drain(&mut self, time: Duration) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let began = Instant::now();
        while began.elapsed() < time {
            self.poll(&mut events, Duration::from_millis(10))?;
            for event in &events {
                self.receive(event.token().0, |_| {})?;
            }
        }
        Ok(())
    }
}

/// Returns the room of a message.
const fn room_of(number: u64) -> usize {
    (number % ROOMS as u64) as usize
}
