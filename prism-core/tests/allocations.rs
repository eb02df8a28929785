//! RFC 6455 §10.4, in memory: a message that arrives whole is received without an allocation, an
//! announced length takes no memory, and what is kept is a small multiple of what has arrived.
//! The allocator counts.

use allocation_counter::{AllocationInfo, measure};
use bytes::{Buf, BytesMut};
use prism_core::{
    Accept, CloseCode, Config, Event, Header, Message, RecvBuffer, Reply, Role, ServerHandshake,
    WebSocket,
};

use crate::common::{
    frame::{Claim, Frame, KEY, masked},
    machine::{limited, mask_keys, quiet},
};

const ROLES: [Role; 2] = [Role::Server, Role::Client];
const SIZES: [usize; 6] = [0, 1, 125, 126, 4096, 65_536];

/// A connection with its buffers, and nothing that records.
struct Bare {
    ws: WebSocket,
    buffer: RecvBuffer,
    out: BytesMut,
}

impl Bare {
    fn new(role: Role, config: &Config) -> Self {
        let ws = match role {
            Role::Server => WebSocket::server(config),
            Role::Client => WebSocket::client(config, mask_keys()),
        };
        Self { ws, buffer: RecvBuffer::new(), out: BytesMut::new() }
    }

    /// Receives bytes. Returns the number of messages.
    fn receive(&mut self, bytes: &[u8]) -> usize {
        self.buffer.extend_from_slice(bytes);
        let mut messages = 0;
        while let Ok(Some(event)) = self.ws.receive(&mut self.buffer, &mut self.out) {
            messages += usize::from(matches!(event, Event::Message(_)));
        }
        messages
    }

    /// Receives bytes and sends each message back. Returns the number of messages.
    fn echo(&mut self, bytes: &[u8]) -> usize {
        self.buffer.extend_from_slice(bytes);
        let mut messages = 0;
        while let Ok(Some(event)) = self.ws.receive(&mut self.buffer, &mut self.out) {
            if let Event::Message(message) = event {
                self.ws.send(message, &mut self.out).expect("the connection is open");
                messages += 1;
            }
        }
        messages
    }
}

/// Frames of each kind and size, as a `role` receives them.
fn frames(role: Role) -> Vec<Vec<u8>> {
    let sender = if role == Role::Server { Role::Client } else { Role::Server };
    SIZES
        .into_iter()
        .flat_map(|size| [Frame::text("x".repeat(size)), Frame::binary(vec![0xff; size])])
        .map(|frame| frame.from(sender).encoded())
        .collect()
}

#[track_caller]
fn assert_none(info: AllocationInfo) {
    assert_eq!((info.count_total, info.bytes_total), (0, 0), "allocations, and their bytes");
}

#[test]
fn the_measurement_counts_growth() {
    let info = measure(|| {
        let mut bytes = Vec::with_capacity(10);
        bytes.extend_from_slice(core::hint::black_box(&[1_u8; 10]));
        bytes.extend_from_slice(core::hint::black_box(&[1_u8; 1000]));
        core::hint::black_box(&bytes);
    });
    assert_eq!(info.count_total, 2);
    assert!(info.bytes_max >= 1010);
}

#[test]
fn creating_a_server_does_not_allocate() {
    assert_none(measure(|| drop(Bare::new(Role::Server, &quiet()))));
}

#[test]
fn receiving_a_whole_message_does_not_allocate() {
    for role in ROLES {
        let mut machine = Bare::new(role, &quiet());
        for wire in frames(role) {
            machine.receive(&wire); // warm
            assert_none(measure(|| {
                for _ in 0..10 {
                    assert_eq!(machine.receive(&wire), 1);
                }
            }));
        }
    }
}

#[test]
fn sending_a_message_does_not_allocate() {
    for role in ROLES {
        let mut machine = Bare::new(role, &quiet());
        for size in SIZES {
            let (letters, bytes) = ("x".repeat(size), vec![0xff; size]);
            let mut send = || {
                machine.ws.send(&letters, &mut machine.out).expect("open");
                machine.out.clear();
                machine.ws.send(&bytes, &mut machine.out).expect("open");
                machine.out.advance(machine.out.len());
                machine.ws.ping(b"ping", &mut machine.out).expect("open");
                machine.out.clear();
            };
            send(); // warm
            assert_none(measure(|| (0..200).for_each(|_| send()))); // often enough to need new keys
        }
    }
}

#[test]
fn a_message_makes_the_output_grow_once_by_what_it_needs() {
    for role in ROLES {
        for size in SIZES {
            let (mut machine, bytes) = (Bare::new(role, &quiet()), vec![0xff; size]);
            let info = measure(|| machine.ws.send(&bytes, &mut machine.out).expect("open"));
            assert_eq!((info.count_total, info.bytes_total), (1, (Header::MAX_LEN + size) as u64));
        }
    }
}

#[test]
fn a_response_makes_the_output_grow_once() {
    let check = |write: &dyn Fn(&mut BytesMut)| {
        let mut out = BytesMut::new();
        assert_eq!(measure(|| write(&mut out)).count_total, 1);
        assert!(out.capacity() <= out.len() + 200, "{} bytes for {}", out.capacity(), out.len());
    };
    let (value, config) = ("x".repeat(1000), Config::default());
    let accept = Accept::new().header("X", &value).expect("a valid header");
    let request = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let (mut input, mut handshake) = (RecvBuffer::new(), ServerHandshake::new(&config));
    input.extend_from_slice(request);
    let request = handshake.receive_request(&mut input).expect("good").expect("whole");
    check(&|out| drop(request.upgrade().expect("valid").accept(&accept, &config, out)));

    let reply = Reply::text(403, "no".repeat(2000)).header("X", &value).expect("a valid header");
    check(&|out| reply.write(out, false));
    check(&|out| reply.write(out, true));
}

#[test]
fn echoing_a_message_does_not_allocate() {
    for role in ROLES {
        let mut machine = Bare::new(role, &quiet());
        for wire in frames(role) {
            machine.echo(&wire); // warm
            machine.out.clear();
            assert_none(measure(|| {
                for _ in 0..10 {
                    assert_eq!(machine.echo(&wire), 1);
                    machine.out.clear();
                }
            }));
        }
    }
}

#[test]
fn echoing_a_hundred_messages_of_one_read_does_not_allocate() {
    for role in ROLES {
        let mut machine = Bare::new(role, &quiet());
        let wire = frames(role)[4].repeat(100); // 125 bytes of text each
        machine.echo(&wire); // warm
        machine.out.clear();
        assert_none(measure(|| assert_eq!(machine.echo(&wire), 100)));
    }
}

#[test]
fn receiving_a_message_in_pieces_does_not_allocate() {
    for role in ROLES {
        let mut machine = Bare::new(role, &quiet());
        for wire in frames(role) {
            let mut in_pieces = || {
                let seen: usize = wire.chunks(1000).map(|piece| machine.receive(piece)).sum();
                assert_eq!(seen, 1);
            };
            in_pieces(); // warm
            assert_none(measure(|| (0..5).for_each(|_| in_pieces())));
        }
    }
}

#[test]
fn joining_fragments_does_not_allocate() {
    let wire = [
        Frame::text("frag").unfinished().masked().encoded(),
        Frame::ping("between").masked().encoded(),
        Frame::continuation("ments").masked().encoded(),
    ]
    .concat();
    let mut server = Bare::new(Role::Server, &quiet());
    server.receive(&wire); // warm
    server.out.clear();
    assert_none(measure(|| {
        for _ in 0..10 {
            assert_eq!(server.receive(&wire), 1);
            server.out.clear();
        }
    }));
}

#[test]
fn answering_pings_does_not_allocate() {
    for role in ROLES {
        let mut machine = Bare::new(role, &quiet());
        let wire = Frame::ping([7; 125]);
        let wire = if role == Role::Server { wire.masked() } else { wire }.encoded();
        machine.receive(&wire); // warm
        machine.out.clear();
        assert_none(measure(|| {
            for _ in 0..100 {
                machine.receive(&wire);
                assert!(!machine.out.is_empty());
                machine.out.clear();
            }
        }));
    }
}

#[test]
fn a_close_handshake_does_not_allocate() {
    let wire = Frame::close(1000, "goodbye").masked().encoded();
    let mut server = Bare::new(Role::Server, &quiet());
    server.out.reserve(100);
    server.buffer = RecvBuffer::with_capacity(100);
    assert_none(measure(|| {
        server.receive(&wire);
    }));
    assert!(server.ws.wants_shutdown());

    let mut server = Bare::new(Role::Server, &quiet());
    server.out.reserve(100);
    assert_none(measure(|| {
        assert!(server.ws.close(CloseCode::NORMAL, "goodbye", &mut server.out));
    }));
}

#[test]
fn a_header_that_announces_petabytes_does_not_allocate() {
    for limit in [1 << 20, usize::MAX] {
        let claim = Frame::binary("").claiming(Claim::Bits64(1 << 62));
        for (role, frame) in [(Role::Server, claim.clone().masked()), (Role::Client, claim)] {
            let header = frame.header();
            assert!(header.len() <= 14);
            let mut machine = Bare::new(role, &limited(limit));
            machine.buffer = RecvBuffer::with_capacity(64);
            machine.out.reserve(256);
            let info = measure(|| {
                machine.receive(&header);
            });
            // If the limit refuses it, the text of the close frame takes a few bytes for a moment.
            assert!(info.bytes_max <= 128, "{info:?} with a limit of {limit}");
            assert_eq!(info.bytes_current, 0);
            if limit == usize::MAX {
                assert_none(info);
            }
        }
    }
}

#[test]
fn a_trickling_big_message_takes_a_small_multiple_of_its_bytes() {
    for drip in [1, 7, 100, 1460] {
        let mut server = Bare::new(Role::Server, &limited(usize::MAX));
        let header = Frame::text("").claiming(Claim::Bits64(1 << 62)).masked().header();
        let total = 300_000;
        let text = "x".repeat(total);
        let wire = masked(text.as_bytes(), KEY);
        let info = measure(|| {
            server.receive(&header);
            for piece in wire.chunks(drip) {
                server.receive(piece);
            }
        });
        // While a buffer grows, the old and the new one exist together: 1 + 2 times the size.
        let most = 3 * total as u64 + 64;
        assert!(info.bytes_max <= most, "{} bytes at the most, by {drip}", info.bytes_max);
        assert!(info.bytes_current <= 2 * total as i64 + 64, "{} bytes held", info.bytes_current);
        // All growth together adds at most twice the last size.
        assert!(info.bytes_total <= 4 * total as u64 + 4096, "{} bytes in all", info.bytes_total);
    }
}

#[test]
fn a_nearly_whole_message_holds_little_more_than_its_length() {
    let mut server = Bare::new(Role::Server, &quiet());
    let total = (1 << 20) - 1;
    let wire = Frame::binary(vec![7; total]).masked().encoded();
    let info = measure(|| {
        for piece in wire[..wire.len() - 1].chunks(1460) {
            server.receive(piece);
        }
    });
    assert!(info.bytes_current <= total as i64 + 2 * 1460, "{} bytes held", info.bytes_current);
    assert_eq!(server.receive(&wire[wire.len() - 1..]), 1);
}

#[test]
fn growth_by_fragments_of_known_length_is_linear() {
    let total = 10 << 20;
    let mut server = Bare::new(Role::Server, &limited(total));
    let fragment = Frame::continuation(vec![7; 64 << 10]).unfinished().masked().encoded();
    let info = measure(|| {
        server.receive(&Frame::binary("").unfinished().masked().encoded());
        for _ in 0..total / (64 << 10) {
            for piece in fragment.chunks(1460) {
                server.receive(piece);
            }
        }
    });
    // The buffer grows by half each time, so all growth together adds twice the last size.
    assert!(info.bytes_total <= 5 * total as u64, "{} bytes in all", info.bytes_total);
    assert!(info.bytes_current <= total as i64 * 3 / 2, "{} bytes held", info.bytes_current);
}

#[test]
fn many_fragments_take_a_small_multiple_of_their_payload() {
    let mut server = Bare::new(Role::Server, &quiet());
    let first = Frame::binary([1]).unfinished().masked().encoded();
    let fragment = Frame::continuation([1]).unfinished().masked().encoded();
    let count = 100_000;
    let info = measure(|| {
        server.receive(&first);
        for _ in 1..count {
            server.receive(&fragment);
        }
    });
    // The headers take seven times as many bytes as the payload, and are not kept.
    assert!(info.bytes_current <= 4 * count, "{} bytes held", info.bytes_current);
    assert!(info.bytes_max <= 6 * count as u64, "{} bytes at the most", info.bytes_max);
}

#[test]
fn endless_small_messages_take_the_memory_of_one() {
    for role in ROLES {
        let mut machine = Bare::new(role, &quiet());
        let sender = if role == Role::Server { Role::Client } else { Role::Server };
        let stream = Frame::text("0123456789").from(sender).encoded().repeat(10_000);
        // No read except the last ends where a message does, so the buffer is never empty.
        let (first, rest) = stream.split_at(5);
        let info = measure(|| {
            let mut seen = machine.receive(first);
            for piece in rest.chunks(96) {
                assert!(!machine.buffer.is_empty());
                seen += machine.receive(piece);
            }
            assert_eq!(seen, 10_000);
        });
        assert!(info.bytes_max <= 1024, "{} bytes at the most", info.bytes_max);
    }
}

#[test]
fn an_owned_message_is_the_only_copy() {
    let wire = Frame::text("x".repeat(1000)).masked().encoded();
    let mut server = Bare::new(Role::Server, &quiet());
    server.receive(&wire); // warm
    let info = measure(|| {
        server.buffer.extend_from_slice(&wire);
        let event = server.ws.receive(&mut server.buffer, &mut server.out);
        let Ok(Some(Event::Message(message))) = event else { panic!("{event:?}") };
        assert!(matches!(message, Message::Text(_)));
        drop(message.into_owned());
    });
    assert_eq!((info.count_total, info.bytes_total), (1, 1000));
}

#[test]
fn reading_a_plain_request_does_not_allocate() {
    let request = b"GET /rooms/blue%20one?a HTTP/1.1\r\nHost: h\r\nX: 1\r\nY: 2\r\nY: 3\r\n\r\n";
    let mut input = RecvBuffer::with_capacity(request.len());
    input.extend_from_slice(request);
    let mut handshake = ServerHandshake::new(&Config::default());
    assert_none(measure(|| {
        let request = handshake.receive_request(&mut input).expect("good").expect("whole");
        assert_eq!(request.path(), "/rooms/blue%20one");
        assert_eq!(request.header("X").as_deref(), Some("1"));
        assert!(request.header_all("Y").eq(["2", "3"]));
    }));
}
