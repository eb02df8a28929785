//! Joins a client and a server in memory, and uses both in any way that an application can: every
//! accepted message arrives, in order, and a close completes.
#![no_main]

use arbitrary::Arbitrary;
use core::time::Duration;
use libfuzzer_sys::fuzz_target;
use prism_core::{CloseCode, Config, OwnedMessage, PreparedMessage, Role, State};
use prism_fuzz::{
    agreement::Agreement,
    common::{Seen, machine::Machine, pair::Pair},
};

#[derive(Arbitrary, Debug)]
enum Act {
    Text(String),
    Binary(Vec<u8>),
    Big(u8, u16),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    /// A message without compression.
    Plain(String),
    /// A message that is encoded once, and its length is multiplied.
    Prepared(Vec<u8>, u8),
    /// Moves some of the output to the other end.
    Carry(u16),
    /// Delivers all output, and lets this many seconds pass.
    Wait(u8),
}

#[derive(Arbitrary, Debug)]
struct Case {
    pings: bool,
    acts: Vec<(bool, Act)>,
    /// What is agreed for compression.
    agreement: Option<Agreement>,
}

fuzz_target!(|input: Case| {
    let mut config = Config::default();
    if !input.pings {
        config.ping_interval = None;
    }
    let mut pair = Pair::new(&config);
    if let Some(agreement) = input.agreement {
        pair = pair.with_deflate(&agreement.settings(), agreement.params());
    }
    let mut accepted = [Vec::new(), Vec::new()];
    for (by_client, act) in input.acts {
        match act {
            Act::Wait(seconds) => pair.advance(Duration::from_secs(u64::from(seconds))),
            Act::Carry(size) => {
                let from = if by_client { Role::Client } else { Role::Server };
                pair.carry_from(from, usize::from(size));
            }
            act => {
                let machine = if by_client { &mut pair.client } else { &mut pair.server };
                accepted[usize::from(by_client)].extend(perform(machine, act));
            }
        }
    }
    pair.deliver();

    let [by_server, by_client] = accepted;
    let (client_saw, server_saw) = (pair.client.seen(), pair.server.seen());
    assert_eq!(messages(&client_saw), by_server);
    assert_eq!(messages(&server_saw), by_client);
    for seen in client_saw.iter().chain(&server_saw) {
        assert!(!matches!(seen, Seen::Error(_)), "both follow the protocol, but {seen:?}");
    }
    let states = pair.states();
    assert!(states == [State::Open; 2] || states == [State::Closed; 2], "{states:?}");
});

/// Performs an act. Returns the message, if one was accepted.
fn perform(machine: &mut Machine, act: Act) -> Option<OwnedMessage> {
    let open = machine.state() == State::Open;
    let message = match act {
        Act::Plain(text) => {
            let sent = machine.ws.send_plain(&text, &mut machine.out);
            assert_eq!(sent.is_ok(), open);
            return sent.ok().map(|()| OwnedMessage::Text(text));
        }
        Act::Prepared(bytes, times) => {
            let message = OwnedMessage::Binary(bytes.repeat(times.into()));
            let prepared = PreparedMessage::new(&message);
            let sent = machine.ws.send_prepared(&prepared, &mut machine.out);
            assert_eq!(sent.is_ok(), open);
            return sent.ok().map(|()| message);
        }
        Act::Text(text) => OwnedMessage::Text(text),
        Act::Binary(bytes) => OwnedMessage::Binary(bytes),
        Act::Big(byte, len) => OwnedMessage::Binary(vec![byte; usize::from(len) * 2]),
        Act::Ping(payload) => {
            assert_eq!(machine.ping(&payload).is_ok(), open && payload.len() <= 125);
            return None;
        }
        Act::Pong(payload) => {
            assert_eq!(machine.pong(&payload).is_ok(), open && payload.len() <= 125);
            return None;
        }
        Act::Close(code, reason) => {
            let code = CloseCode::new(code).unwrap_or(CloseCode::NO_STATUS);
            assert_eq!(machine.close(code, &reason), open);
            return None;
        }
        Act::Carry(_) | Act::Wait(_) => return None,
    };
    let sent = machine.send(&message);
    assert_eq!(sent.is_ok(), open);
    sent.ok().map(|()| message)
}

fn messages(seen: &[Seen]) -> Vec<OwnedMessage> {
    seen.iter()
        .filter_map(|seen| match seen {
            Seen::Text(text) => Some(OwnedMessage::Text(text.clone())),
            Seen::Binary(bytes) => Some(OwnedMessage::Binary(bytes.clone())),
            _ => None,
        })
        .collect()
}
