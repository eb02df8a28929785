//! Connections on a clock that the test sets.

use core::time::Duration;

use prism_core::{Config, Role};

use super::{frame::PING, machine::Machine};

pub const ROLES: [Role; 2] = [Role::Server, Role::Client];

pub const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Pings every 20 s, waits 10 s for an answer, and 5 s for a close.
pub fn config() -> Config {
    Config::default().ping_interval(Some(s(20))).pong_timeout(s(10)).close_timeout(s(5))
}

/// A connection whose clock was started at `now`.
pub fn started(role: Role, now: Duration) -> Machine {
    let mut machine = Machine::new(role, &config());
    machine.at(now).unwrap();
    machine
}

/// Takes the output, which must be pings. Returns their number.
pub fn pings(machine: &mut Machine) -> usize {
    let sent = machine.sent();
    assert!(sent.iter().all(|frame| frame.opcode() == PING), "{sent:?}");
    sent.len()
}
