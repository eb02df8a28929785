//! A message that is sent to one connection after another: the connections share its bytes, and each
//! peer gets exactly what it was sent. The allocator counts the bytes, in one thread, so that only our
//! own allocations count.

use allocation_counter::measure;
use fastrand::Rng;
use prism_driver::{CloseCode, Connection, Handler, Message, Options, PreparedMessage, WhenSlow};
use prism_test::{Faults, Peer, Received, Sim};

use crate::common::{binary, handlers::HandOut, serve, text};

const MEMBERS: usize = 20;

/// From messages that are just long enough to be shared, to messages that are written without a copy.
const LENGTHS: [usize; 4] = [256, 5_000, 16 << 10, 100_000];

/// The cost of a connection that has something to send, such as its buffer.
const EACH: i64 = 6 << 10;

struct Member {
    peer: Peer,
    faults: Faults,
    connection: Connection,
}

fn join(sim: &Sim, when_slow: WhenSlow) -> Member {
    let mut options = Options::default();
    options.protocol.ping_interval = None;
    options.high_water_mark = 1 << 20;
    let (handler, out) = HandOut::when_slow(when_slow);
    let (peer, faults, _) = serve(sim, handler, options);
    let connection = sim.run(async { out.recv().await.unwrap() });
    sim.run(sim.settle());
    Member { peer, faults, connection }
}

/// Opens connections whose transports take this many bytes.
fn join_all(sim: &Sim, when_slow: WhenSlow, capacity: usize) -> Vec<Member> {
    let members: Vec<_> = (0..MEMBERS).map(|_| join(sim, when_slow)).collect();
    members.iter().for_each(|member| member.faults.to_client().set_capacity(capacity));
    members
}

#[test]
fn stalled_members_share_two_copies_of_a_message() {
    for when_slow in [WhenSlow::Wait, WhenSlow::DropOldest] {
        for len in LENGTHS {
            // Nothing, a part of the header, the header, and parts of the payload.
            for capacity in [0, 1, 3, 4, 10, 11, len / 2, len] {
                let sim = Sim::default();
                let mut members = join_all(&sim, when_slow, capacity);
                let message = vec![7; len];
                let held = measure(|| {
                    for member in &members {
                        member.connection.try_send(&message).unwrap();
                    }
                });
                // The bytes in the pipes are counted, too.
                let taken: usize =
                    members.iter().map(|member| member.faults.to_client().unread()).sum();
                let most = 2 * (len + taken) as i64 + MEMBERS as i64 * EACH;
                assert!(held.bytes_current < most, "{} bytes for {len}", held.bytes_current);
                sim.run(async {
                    for Member { peer, faults, .. } in &mut members {
                        faults.to_client().set_capacity(1 << 20);
                        // `assert_eq!` would print all of it.
                        assert!(
                            peer.next().await == binary(&*message),
                            "{len} bytes, of which {capacity} at once"
                        );
                    }
                });
            }
        }
    }
}

/// Sends each message to all of these connections.
struct Publisher(Vec<Connection>);

impl Handler for Publisher {
    async fn on_message(&self, _: &Connection, message: Message<'_>) {
        for member in &self.0 {
            member.try_send(message).unwrap();
        }
    }
}

#[test]
fn nothing_is_kept_once_everything_is_written() {
    for &len in &LENGTHS[1..] {
        let sim = Sim::default();
        let mut members = join_all(&sim, WhenSlow::Wait, 1 << 20);
        let to = members.iter().map(|member| member.connection.clone()).collect();
        let (mut speaker, _, _) = serve(&sim, Publisher(to), Options::default());
        let mut publish = |message: &[u8]| {
            sim.run(async {
                speaker.send(message).await;
                sim.settle().await;
                for member in &mut members {
                    assert!(member.peer.next().await == binary(message));
                }
                sim.settle().await;
            });
        };
        // Fills the pools. The last message is short, so that hardly anything is kept beforehand.
        for len in [len, len, LENGTHS[0]] {
            publish(&vec![7; len]);
        }
        let message = vec![7; len];
        let held = measure(|| publish(&message)).bytes_current;
        assert!(held < len as i64 / 2, "{held} bytes of {len} are kept");
    }
}

#[test]
fn the_first_recipient_is_treated_like_the_others() {
    let sim = Sim::default();
    let mut members = join_all(&sim, WhenSlow::Wait, 0);
    let message = "x".repeat(1000);
    sim.run(async {
        for member in &members {
            member.connection.try_send(&message).unwrap();
            assert_eq!(member.connection.buffered(), 4 + 1000);
            assert!(member.connection.close(CloseCode::NORMAL, ""));
        }
        for Member { peer, faults, .. } in &mut members {
            faults.to_client().set_capacity(1 << 20);
            assert_eq!(peer.next().await, text(&message));
            assert_eq!(peer.next().await, Received::Close(1000, String::new()));
        }
    });
}

/// Sends the contents of a few buffers, which change now and then, to some of the members, by every kind
/// of send. Returns what each member has to receive.
fn send_at_random(random: &mut Rng, members: &[Member]) -> Vec<Vec<Received>> {
    let mut expected: Vec<Vec<Received>> = members.iter().map(|_| Vec::new()).collect();
    let mut buffers = [vec![b'a'; 100], vec![b'a'; 300], vec![b'a'; 20_000]];
    for _ in 0..40 {
        let buffer = random.choice(&mut buffers).unwrap();
        for (member, expected) in members.iter().zip(&mut expected) {
            if random.u8(..8) == 0 {
                let at = random.usize(..buffer.len());
                buffer[at] = random.u8(b'a'..=b'z');
            }
            if random.u8(..8) == 0 {
                continue; // only the others get it
            }
            let message = match random.bool() {
                true => Message::Text(str::from_utf8(buffer).unwrap()),
                false => Message::Binary(buffer),
            };
            let sent = match random.u8(..8) {
                0 => member.connection.try_send(PreparedMessage::new(message)),
                _ => member.connection.try_send(message),
            };
            sent.expect("there is room for all of them");
            expected.push(match message {
                Message::Text(text) => Received::Text(text.to_owned()),
                Message::Binary(bytes) => binary(bytes),
            });
        }
    }
    expected
}

#[test]
fn random_sends_arrive_byte_for_byte() {
    for seed in 0..40 {
        let mut random = Rng::with_seed(seed);
        let sim = Sim::default();
        let kinds = [WhenSlow::Wait, WhenSlow::DropOldest];
        let mut members: Vec<_> =
            (0..4).map(|_| join(&sim, kinds[usize::from(random.u8(..4) == 0)])).collect();
        for member in &members {
            // The transport takes much, little, or small pieces.
            member.faults.to_client().set_capacity([1 << 20, 0, 10, 30_000][random.usize(..4)]);
            member.faults.set_piece([usize::MAX, 5000, 700][random.usize(..3)]);
        }
        let expected = send_at_random(&mut random, &members);
        sim.run(async {
            for (member, expected) in members.iter_mut().zip(expected) {
                member.faults.to_client().set_capacity(1 << 20);
                for (nth, expected) in expected.into_iter().enumerate() {
                    let seen = member.peer.next().await;
                    assert!(seen == expected, "seed {seed}, message {nth}");
                }
            }
        });
    }
}
