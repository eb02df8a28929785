//! Handlers that send to many connections in a loop: what those do not read they share, and each gets
//! exactly what it was sent.

use std::sync::Mutex;

use super::support::{
    alone::{alone, peak_heap},
    pattern,
    peer::{BINARY, Peer, TEXT},
    server::{Running, serve},
};
use crate::prism::{Connection, Handler, Message, Options};

const MIB: usize = 1 << 20;

/// Calls a function with everybody who has come, as many times as a message says.
struct Loop<F> {
    members: Mutex<Vec<Connection>>,
    tell: F,
}

impl<F: Fn(&[Connection], usize) + Send + Sync + 'static> Handler for Loop<F> {
    async fn on_connect(&self, connection: &Connection) {
        self.members.lock().expect("nobody has panicked").push(connection.clone());
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let rounds = message.as_text().and_then(|text| text.parse().ok()).expect("a number");
        for round in 0..rounds {
            (self.tell)(&self.members.lock().expect("nobody has panicked"), round);
        }
        let _ = connection.send("told").await; // fails only if the connection is closing
    }
}

/// A server; somebody who can have the others told something so many times; and those, in the order in
/// which the handler has them, behind the first.
fn open(
    members: usize,
    tell: impl Fn(&[Connection], usize) + Send + Sync + 'static,
) -> (Running, Peer, Vec<Peer>) {
    let mut options = Options::default();
    options.high_water_mark = 64 * MIB; // nobody misses anything
    let handler = Loop { members: Mutex::default(), tell };
    let server = serve(|server| server.options(options).websocket("/", handler));
    let join = || {
        let mut peer = server.open("/");
        peer.send(TEXT, b"0");
        peer.expect(TEXT, b"told");
        peer
    };
    let (speaker, members) = (join(), (0..members).map(|_| join()).collect());
    (server, speaker, members)
}

#[test]
fn a_loop_over_members_that_do_not_read_costs_two_copies_and_not_one_each() {
    alone(&a_loop_over_members_that_do_not_read_costs_two_copies_and_not_one_each, || {
        const MEMBERS: usize = 20;
        // More than the kernel takes for somebody who does not read.
        let message = pattern(4 * MIB);
        let told = message.clone();
        let (_server, mut speaker, mut members) = open(MEMBERS, move |members, _| {
            for member in &members[1..] {
                member.try_send(&told).expect("there is room");
            }
        });
        let cost = peak_heap(|| {
            speaker.send(TEXT, b"1");
            speaker.expect(TEXT, b"told");
        });
        eprintln!("{MEMBERS} members that do not read {} bytes: {cost} bytes", message.len());
        assert!(cost < 3 * message.len(), "it cost {cost} bytes");
        for member in &mut members {
            member.expect(BINARY, &message);
        }
    });
}

#[test]
fn each_member_gets_exactly_what_it_was_sent_though_the_buffer_is_always_the_same() {
    const MEMBERS: usize = 6;
    const ROUNDS: usize = 18;
    /// What a member gets in a round: something of its own, the same as all, or as one other; it differs
    /// from what others get at the front, in the middle, or at the end.
    fn message(len: usize, round: usize, member: usize) -> Vec<u8> {
        let mut message = pattern(len);
        let differs = [0, len / 2, len - 1][round / 3 % 3];
        message[differs] = [member, MEMBERS, member / 2][round % 3] as u8;
        message
    }
    for len in [300, 5_000, 100_000] {
        let (_server, mut speaker, mut members) = open(MEMBERS, move |members, round| {
            let mut buffer = vec![0; len];
            for (nth, member) in members[1..].iter().enumerate() {
                buffer.copy_from_slice(&message(len, round, nth));
                member.try_send(&buffer).expect("there is room");
            }
        });
        speaker.send(TEXT, ROUNDS.to_string().as_bytes());
        for round in 0..ROUNDS {
            for (nth, member) in members.iter_mut().enumerate() {
                member.expect(BINARY, &message(len, round, nth));
            }
        }
        speaker.expect(TEXT, b"told");
    }
}
