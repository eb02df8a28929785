//! Two connections joined in memory (RFC 6455 §1.2: a client, a server, and TCP between them), on a
//! clock that the test advances.

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
    /// While this is set, what is sent is lost, as with a cut cable.
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

    /// Compresses messages in both directions.
    #[cfg(feature = "deflate")]
    pub fn with_deflate(
        self,
        deflate: &std::sync::Arc<prism_core::deflate::Deflate>,
        params: prism_core::deflate::DeflateParams,
    ) -> Self {
        Self {
            client: self.client.with_deflate(deflate, params),
            server: self.server.with_deflate(deflate, params),
            ..self
        }
    }

    /// Moves bytes both ways until nothing moves, and shuts the transport down when an end wants
    /// that.
    pub fn deliver(&mut self) {
        self.deliver_in_pieces(usize::MAX);
    }

    /// Does the same, at most `size` bytes at a time.
    pub fn deliver_in_pieces(&mut self, size: usize) {
        let (client, server) = (&mut self.client, &mut self.server);
        while carry(client, server, size, self.cut) | carry(server, client, size, self.cut) {}
    }

    /// Moves at most `size` bytes from one end to the other.
    #[allow(dead_code, reason = "the fuzz target `duet` needs it")]
    pub fn carry_from(&mut self, sender: Role, size: usize) {
        let (client, server) = (&mut self.client, &mut self.server);
        match sender {
            Role::Client => carry(client, server, size, self.cut),
            Role::Server => carry(server, client, size, self.cut),
        };
    }

    /// Advances the time: runs each timeout when it is due, and delivers the results.
    pub fn advance(&mut self, by: Duration) {
        let end = self.clock + by;
        for turn in 0.. {
            assert!(turn < 100_000, "a timeout that is due again and again");
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

    /// Returns when something is due next.
    pub fn next_timeout(&self) -> Option<Duration> {
        [&self.client, &self.server].into_iter().filter_map(|m| m.ws.poll_timeout()).min()
    }

    pub fn states(&self) -> [State; 2] {
        [self.client.state(), self.server.state()]
    }
}

/// Moves one piece of what `from` has to send. Returns whether anything moved.
fn carry(from: &mut Machine, to: &mut Machine, size: usize, cut: bool) -> bool {
    let count = from.out.len().min(size);
    if count > 0 {
        let piece = from.out[..count].to_vec();
        from.out.advance(count);
        // A pong that was held back is written with the next look at the input.
        let held = from.receive_buffered();
        record_new(from, held);
        if !cut && !to.shut_off() {
            let seen = to.receive(&piece);
            record_new(to, seen);
        }
        return true;
    }
    // An end shuts the transport down once all its output has been sent.
    if from.out.is_empty() && from.ws.wants_shutdown() && !from.shut && !cut {
        from.shut = true;
        if let Err(error) = to.ws.receive_eof() {
            record_new(to, vec![Seen::Error(error)]);
        }
        return true;
    }
    false
}

/// A failed connection repeats its error, which is recorded only once.
fn record_new(machine: &mut Machine, seen: Vec<Seen>) {
    for seen in seen {
        if !matches!(seen, Seen::Error(_)) || machine.last_recorded() != Some(&seen) {
            machine.record([seen]);
        }
    }
}
