//! Two machines joined in memory (RFC 6455 §1.2: a client, a server, and TCP between them), with a
//! clock that goes when the test says so.

use core::time::Duration;

use bytes::Buf;
use prism_core::{Config, Role, State};

use super::{Seen, machine::Machine};

/// A client and a server after their handshake.
#[derive(Debug)]
pub struct Pair {
    pub client: Machine,
    pub server: Machine,
    pub clock: Duration,
    /// While set, what is sent disappears: the cable is cut.
    pub cut: bool,
}

impl Pair {
    pub fn new(config: &Config) -> Self {
        Self {
            client: Machine::new(Role::Client, config),
            server: Machine::new(Role::Server, config),
            clock: Duration::ZERO,
            cut: false,
        }
    }

    /// Moves bytes both ways until nothing moves, and ends the transport where a machine wants it.
    pub fn deliver(&mut self) {
        self.deliver_in_pieces(usize::MAX);
    }

    /// The same, at most `size` bytes at a time.
    pub fn deliver_in_pieces(&mut self, size: usize) {
        let (client, server) = (&mut self.client, &mut self.server);
        while carry(client, server, size, self.cut) | carry(server, client, size, self.cut) {}
    }

    /// Moves at most `size` bytes from one end to the other.
    pub fn carry_from(&mut self, sender: Role, size: usize) {
        let (client, server) = (&mut self.client, &mut self.server);
        match sender {
            Role::Client => carry(client, server, size, self.cut),
            Role::Server => carry(server, client, size, self.cut),
        };
    }

    /// Lets time pass: runs each timeout when it is due, and delivers what comes of it.
    pub fn advance(&mut self, by: Duration) {
        let end = self.clock + by;
        for turn in 0.. {
            assert!(turn < 100_000, "a timeout that is due again and again, for ever");
            for machine in [&mut self.client, &mut self.server] {
                if machine.ws.poll_timeout().is_some_and(|due| due <= self.clock)
                    && let Err(error) = machine.at(self.clock)
                {
                    machine.record([Seen::Error(error)]);
                }
            }
            self.deliver();
            match self.next_timeout() {
                Some(due) if due <= end => self.clock = self.clock.max(due),
                _ => break,
            }
        }
        self.clock = end;
    }

    /// When something is due next.
    pub fn next_timeout(&self) -> Option<Duration> {
        [&self.client, &self.server].into_iter().filter_map(|m| m.ws.poll_timeout()).min()
    }

    pub fn states(&self) -> [State; 2] {
        [self.client.state(), self.server.state()]
    }
}

/// One piece of what `from` has to send; whether anything moved.
fn carry(from: &mut Machine, to: &mut Machine, size: usize, cut: bool) -> bool {
    let count = from.out.len().min(size);
    if count > 0 {
        let piece = from.out[..count].to_vec();
        from.out.advance(count);
        // What a machine held back for its output to leave comes with its next look at the input.
        let held = from.receive_buffered();
        record_new(from, held);
        if !cut && !to.shut_off() {
            let seen = to.receive(&piece);
            record_new(to, seen);
        }
        return true;
    }
    // It shuts down when all has left.
    if from.out.is_empty() && from.ws.wants_shutdown() && !from.shut && !cut {
        from.shut = true;
        if let Err(error) = to.ws.receive_eof() {
            record_new(to, vec![Seen::Error(error)]);
        }
        return true;
    }
    false
}

/// A fused machine repeats its error; once is enough to see.
fn record_new(machine: &mut Machine, seen: Vec<Seen>) {
    for seen in seen {
        if !matches!(seen, Seen::Error(_)) || machine.last_recorded() != Some(&seen) {
            machine.record([seen]);
        }
    }
}
