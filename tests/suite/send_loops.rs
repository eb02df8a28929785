//! Handlers that send to many connections in a loop: the outboxes share equal messages, and each
//! peer gets exactly what it was sent.

use std::sync::Mutex;

use super::support::{
    own_process::{in_own_process, peak_heap},
    pattern,
    peer::{BINARY, Peer, TEXT},
    server::{TestServer, serve},
};
use crate::prism::{Connection, Handler, Message, Options};

const MIB: usize = 1 << 20;

/// Calls a function with all connections, as many times as a message says.
struct Loop<F> {
    members: Mutex<Vec<Connection>>,
    broadcast: F,
}

impl<F: Fn(&[Connection], usize) + Send + Sync + 'static> Handler for Loop<F> {
    async fn on_connect(&self, connection: &Connection) {
        self.members.lock().expect("no panic while it is locked").push(connection.clone());
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let rounds = message.as_text().and_then(|text| text.parse().ok()).expect("a number");
        for round in 0..rounds {
            (self.broadcast)(&self.members.lock().expect("no panic while it is locked"), round);
        }
        let _ = connection.send("done").await; // fails only if the connection is closing
    }
}

/// Runs a server with one peer that triggers the loop and the peers that it sends to. The handler
/// has the triggering peer first, and then the others in order.
fn open(
    members: usize,
    broadcast: impl Fn(&[Connection], usize) + Send + Sync + 'static,
) -> (TestServer, Peer, Vec<Peer>) {
    let mut options = Options::default();
    options.high_water_mark = 64 * MIB; // no message is missed
    let handler = Loop { members: Mutex::default(), broadcast };
    let server = serve(|server| server.options(options).websocket("/", handler));
    let join = || {
        let mut peer = server.open("/");
        peer.send(TEXT, b"0");
        peer.expect(TEXT, b"done");
        peer
    };
    let (speaker, members) = (join(), (0..members).map(|_| join()).collect());
    (server, speaker, members)
}

#[test]
fn a_send_loop_over_stalled_members_costs_two_copies() {
    in_own_process(&a_send_loop_over_stalled_members_costs_two_copies, || {
        const MEMBERS: usize = 20;
        // More than the kernel buffers for a peer that does not read.
        let message = pattern(4 * MIB);
        let payload = message.clone();
        let (_server, mut speaker, mut members) = open(MEMBERS, move |members, _| {
            for member in &members[1..] {
                member.try_send(&payload).expect("there is room");
            }
        });
        let cost = peak_heap(|| {
            speaker.send(TEXT, b"1");
            speaker.expect(TEXT, b"done");
        });
        eprintln!("{MEMBERS} members that do not read {} bytes: {cost} bytes", message.len());
        assert!(cost < 3 * message.len(), "it cost {cost} bytes");
        for member in &mut members {
            member.expect(BINARY, &message);
        }
    });
}

#[test]
fn a_reused_send_buffer_delivers_each_member_its_own_message() {
    const MEMBERS: usize = 6;
    const ROUNDS: usize = 18;
    /// Returns the message of a member in a round. It is unique, the same for all, or shared with
    /// one other member, and differs from the others at the beginning, in the middle, or at the
    /// end.
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
        speaker.expect(TEXT, b"done");
    }
}
