//! Every kind of envelope survives its bytes, and nothing else is accepted.

use fastrand::Rng;
use prism_driver::{CloseCode, Message};
use serde_json::value::RawValue;

use super::{
    Action, Body, Broadcast, Envelope, MAX_NAME, MAX_PAYLOAD, MAX_ROOMS, Malformed, Outgoing,
    Position, RoomPosition, Targets,
    presence::{
        AskedRoom, MAX_KEY, MAX_LISTED, MAX_META, PeoplePart, PresenceBody, PresenceChange,
        PresentPerson, RoomVersion, Versions,
    },
};
use crate::cluster::node_id::node_id;

fn position(generation: u64, sequence: u64) -> Position {
    Position { generation, sequence }
}

fn rooms<'a>(names: &[&'a str]) -> Vec<RoomPosition<'a>> {
    let numbered = names.iter().zip(1..);
    numbered.map(|(room, n)| RoomPosition { room, position: position(7, n) }).collect()
}

fn to_rooms<'a>(names: &[&'a str], action: Action<'a>) -> Envelope<'a> {
    let targets = Targets::Rooms(rooms(names));
    let body = Body::Broadcast(Broadcast { targets, except: vec![3, 1 << 100], action });
    Envelope { origin: node_id(5), number: 9, body }
}

fn text(text: &str) -> Action<'_> {
    send(Message::Text(text))
}

fn send(message: Message<'_>) -> Action<'_> {
    Action::Send(Outgoing { message, plain: false, or_close: false })
}

/// One of each kind.
fn all_kinds() -> Vec<Envelope<'static>> {
    let everyone = Broadcast {
        targets: Targets::Everyone(position(1, 2)),
        except: Vec::new(),
        action: send(Message::Binary(b"\xff\0")),
    };
    let secret = Outgoing { message: Message::Text("secret"), plain: true, or_close: false };
    let bytes = Outgoing { message: Message::Binary(&[]), plain: false, or_close: true };
    let heartbeat =
        Body::Heartbeat { everyone: Position::default(), rooms: rooms(&["", "milk", "tea"]) };
    let close = |code, reason| to_rooms(&["user:ada"], Action::Close { code, reason });
    let (question, answer) =
        (Body::Question { room: "tea" }, Body::Answer { question: 7, members: 0 });
    let bodies = [heartbeat, Body::Goodbye, Body::Broadcast(everyone), question, answer];
    let bodies = bodies.into_iter().chain(presence().map(Body::Presence));
    let others = bodies.map(|body| Envelope { origin: node_id(3), number: u64::MAX, body });
    let to_rooms = [
        to_rooms(&["milk", "tea"], text("the kettle is on ☕")),
        to_rooms(&["tea"], Action::Send(secret)),
        to_rooms(&["tea"], Action::Send(bytes)),
        close(CloseCode::POLICY_VIOLATION, "banned"),
        close(CloseCode::NO_STATUS, ""),
        to_rooms(&["tea"], Action::Wake),
    ];
    others.chain(to_rooms).collect()
}

fn ada(id: u128) -> PresentPerson<'static> {
    PresentPerson { id, key: "ada", meta: json(r#"{"mood":"fine ☕"}"#) }
}

fn json(text: &str) -> &RawValue {
    serde_json::from_str(text).unwrap()
}

/// One of each kind of what is said about presence.
fn presence() -> [PresenceBody<'static>; 5] {
    let room = "status:tea";
    let part = |first, last, people| PeoplePart { room, version: 9, first, last, people };
    let version = |room, version| RoomVersion { room, version };
    [
        PresenceBody::Change(PresenceChange {
            room,
            from: 0,
            to: 9,
            put: vec![ada(2), ada(5)],
            gone: vec![1, 3],
        }),
        PresenceBody::People(vec![part(0, 7, vec![ada(0), ada(7)]), part(8, u128::MAX, vec![])]),
        PresenceBody::Question(vec![
            AskedRoom { room: "role:milk", known: vec![(node_id(1), 5), (node_id(2), u64::MAX)] },
            AskedRoom { room, known: vec![] },
        ]),
        PresenceBody::Versions(Versions {
            recent: vec![version("role:tea", 0)],
            after: "role:water",
            others: vec![version(room, 9)],
            to_end: false,
        }),
        PresenceBody::Versions(Versions {
            recent: vec![],
            after: "",
            others: vec![],
            to_end: true,
        }),
    ]
}

#[test]
fn every_kind_survives_its_bytes() {
    for envelope in all_kinds() {
        assert_eq!(Envelope::decode(&envelope.encode()).as_ref(), Ok(&envelope));
    }
}

#[test]
fn a_shortened_envelope_is_refused_unless_its_payload_is_the_end() {
    for envelope in all_kinds() {
        let bytes = envelope.encode();
        let payload = match &envelope.body {
            Body::Broadcast(Broadcast { action: Action::Send(outgoing), .. }) => {
                outgoing.message.as_bytes().len()
            }
            Body::Broadcast(Broadcast { action: Action::Close { reason, .. }, .. }) => reason.len(),
            _ => 0,
        };
        for len in 0..bytes.len() - payload {
            assert_eq!(Envelope::decode(&bytes[..len]), Err(Malformed), "{envelope:?} at {len}");
        }
    }
}

#[test]
fn bytes_left_over_are_refused() {
    let has_payload = |envelope: &Envelope<'_>| match &envelope.body {
        Body::Broadcast(broadcast) => broadcast.action != Action::Wake,
        _ => false,
    };
    for envelope in all_kinds().into_iter().filter(|envelope| !has_payload(envelope)) {
        let bytes = [&envelope.encode()[..], b"!"].concat();
        assert_eq!(Envelope::decode(&bytes), Err(Malformed), "{envelope:?}");
    }
}

#[test]
fn what_is_invalid_is_refused() {
    let reason = "x".repeat(124);
    let close = |code, reason| Action::Close { code, reason };
    let with_except = |except| {
        let targets = Targets::Rooms(rooms(&["tea"]));
        let body = Body::Broadcast(Broadcast { targets, except, action: Action::Wake });
        Envelope { origin: node_id(1), number: 1, body }
    };
    let at = |position| {
        let targets = Targets::Everyone(position);
        let body = Body::Broadcast(Broadcast { targets, except: vec![], action: Action::Wake });
        Envelope { origin: node_id(1), number: 1, body }
    };
    let long_question = [
        &Envelope { body: Body::Question { room: "" }, ..with_except(vec![]) }.encode()[..18],
        &1025_u16.to_be_bytes(),
        &[b'x'; 1025],
    ];
    assert_eq!(Envelope::decode(&long_question.concat()), Err(Malformed));
    let invalid = [
        ("number 0", Envelope { number: 0, ..to_rooms(&["tea"], text("")) }),
        ("unsorted names", to_rooms(&["tea", "milk"], text(""))),
        ("the same name twice", to_rooms(&["tea", "tea"], text(""))),
        ("unsorted IDs", with_except(vec![2, 1])),
        ("the same ID twice", with_except(vec![2, 2])),
        ("a long reason", to_rooms(&["tea"], close(CloseCode::NORMAL, &reason))),
        ("a reason without code", to_rooms(&["tea"], close(CloseCode::NO_STATUS, "why"))),
        ("no generation", at(position(0, 1))),
        ("no sequence", at(position(1, 0))),
    ];
    for (what, envelope) in invalid {
        assert_eq!(Envelope::decode(&envelope.encode()), Err(Malformed), "{what}");
    }
    let longest = "x".repeat(MAX_NAME);
    let valid = to_rooms(&[&longest], text(""));
    assert!(Envelope::decode(&valid.encode()).is_ok());
}

#[test]
fn what_is_invalid_about_presence_is_refused() {
    let room = "status:tea";
    let change =
        |from, to, put, gone| PresenceBody::Change(PresenceChange { room, from, to, put, gone });
    let people = |parts: &[(u128, u128, &[u128])]| {
        let parts = parts.iter().map(|(first, last, ids)| {
            let people = ids.iter().copied().map(ada).collect();
            PeoplePart { room, version: 1, first: *first, last: *last, people }
        });
        PresenceBody::People(parts.collect())
    };
    let long = |key, meta| change(1, 2, vec![PresentPerson { id: 1, key, meta }], vec![]);
    let (long_key, long_meta) = ("x".repeat(MAX_KEY + 1), format!("\"{}\"", "x".repeat(MAX_META)));
    let versions = |after, others: &[(&'static str, u64)], to_end| {
        let others = others.iter().map(|(room, version)| RoomVersion { room, version: *version });
        PresenceBody::Versions(Versions { recent: vec![], after, others: others.collect(), to_end })
    };
    let asked = |known| PresenceBody::Question(vec![AskedRoom { room, known }]);
    let part = PeoplePart { room, version: 0, first: 0, last: 9, people: vec![ada(1)] };
    let nobody = PresenceBody::People(vec![part]);
    let many: Vec<String> = (0..=MAX_LISTED).map(|n| format!("{n:05}")).collect();
    let many = many.iter().map(|room| AskedRoom { room, known: vec![] }).collect();
    let invalid = [
        ("the same version", change(5, 5, vec![ada(1)], vec![])),
        ("unsorted people", change(1, 2, vec![ada(2), ada(1)], vec![])),
        ("the same person twice", change(1, 2, vec![ada(2), ada(2)], vec![])),
        ("unsorted IDs", change(1, 2, vec![], vec![2, 1])),
        ("present and gone", change(1, 2, vec![ada(1)], vec![1])),
        ("nobody, and somebody", change(1, 0, vec![ada(1)], vec![])),
        ("a long key", long(&long_key, json("0"))),
        ("long metadata", long("ada", json(&long_meta))),
        ("an ID before the range", people(&[(5, 9, &[4])])),
        ("an ID after the range", people(&[(5, 9, &[10])])),
        ("an inverted range", people(&[(9, 5, &[])])),
        ("nobody, and somebody in an answer", nobody),
        ("overlapping ranges", people(&[(0, 5, &[]), (5, 9, &[])])),
        ("unsorted nodes", asked(vec![(node_id(2), 1), (node_id(1), 1)])),
        ("too many rooms", PresenceBody::Question(many)),
        ("a room before the range", versions("b", &[("a", 1)], true)),
        ("a room at the start of the range", versions("b", &[("b", 1)], true)),
        ("nobody in a room", versions("", &[("a", 0)], true)),
        ("no end", versions("b", &[], false)),
    ];
    for (what, body) in invalid {
        let envelope = Envelope { origin: node_id(1), number: 1, body: Body::Presence(body) };
        assert_eq!(Envelope::decode(&envelope.encode()), Err(Malformed), "{what}");
    }
}

#[test]
fn metadata_has_to_be_json_without_space_around_it() {
    let body = PresenceBody::People(vec![PeoplePart {
        room: "tea",
        version: 1,
        first: 0,
        last: 9,
        people: vec![PresentPerson { id: 1, key: "ada", meta: json("1234") }],
    }]);
    let envelope = Envelope { origin: node_id(1), number: 1, body: Body::Presence(body) };
    let bytes = envelope.encode();
    let start = bytes.len() - 4;
    for (meta, is_valid) in [
        ("5678", true),
        ("null", true),
        ("[[]]", true),
        ("[[[]", false),
        (" 12 ", false),
        ("12, ", false),
    ] {
        let bytes = [&bytes[..start], meta.as_bytes()].concat();
        assert_eq!(Envelope::decode(&bytes).is_ok(), is_valid, "{meta}");
    }
    // However deep it is, nothing overflows.
    let deep = ["[".repeat(4000), "]".repeat(4000)].concat();
    let person = PresentPerson { id: 1, key: "ada", meta: json(&deep) };
    let change = PresenceChange { room: "tea", from: 1, to: 2, put: vec![person], gone: vec![] };
    let body = Body::Presence(PresenceBody::Change(change));
    let bytes = Envelope { origin: node_id(1), number: 1, body }.encode();
    assert!(Envelope::decode(&bytes).is_ok());
}

#[test]
fn counts_and_lengths_are_bounded() {
    let mut bytes = to_rooms(&["tea"], text("")).encode();
    bytes[18] = MAX_ROOMS as u8 + 1;
    bytes.extend([0; 100_000]);
    assert_eq!(Envelope::decode(&bytes), Err(Malformed));
    let payload = vec![7; MAX_PAYLOAD];
    let largest = send(Message::Binary(&payload));
    let mut bytes = to_rooms(&["tea"], largest).encode();
    assert!(Envelope::decode(&bytes).is_ok());
    bytes.push(7);
    assert_eq!(Envelope::decode(&bytes), Err(Malformed));
    let heartbeat = Body::Heartbeat { everyone: Position::default(), rooms: Vec::new() };
    let mut bytes = Envelope { origin: node_id(1), number: 1, body: heartbeat }.encode();
    bytes[34..36].copy_from_slice(&257_u16.to_be_bytes());
    bytes.extend(vec![1; 19 * 257]);
    assert_eq!(Envelope::decode(&bytes), Err(Malformed));
    let body = Body::Presence(PresenceBody::People(Vec::new()));
    let mut bytes = Envelope { origin: node_id(1), number: 1, body }.encode();
    bytes.extend(vec![0; 80 << 10]);
    assert_eq!(Envelope::decode(&bytes), Err(Malformed));
}

#[test]
fn flags_that_mean_nothing_are_refused() {
    let mut bytes = to_rooms(&["tea"], text("")).encode();
    *bytes.last_mut().unwrap() = 8;
    assert_eq!(Envelope::decode(&bytes), Err(Malformed));
}

#[test]
fn text_has_to_be_utf_8() {
    let mut bytes = to_rooms(&["tea"], text("x")).encode();
    *bytes.last_mut().unwrap() = 0xff;
    assert_eq!(Envelope::decode(&bytes), Err(Malformed));
}

/// So no two encodings mean the same, and whatever is accepted could have been sent.
#[test]
fn what_is_accepted_is_what_encoding_produces() {
    let (kinds, mut accepted) = (all_kinds(), 0);
    for seed in 0..100_000 {
        let mut rng = Rng::with_seed(seed);
        let mut bytes = kinds[rng.usize(..kinds.len())].encode();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..bytes.len());
            match rng.u8(..4) {
                0 => bytes[at] = rng.u8(..),
                1 => bytes[at] ^= 1 << rng.u8(..8),
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, rng.u8(..)),
            }
        }
        if let Ok(envelope) = Envelope::decode(&bytes) {
            accepted += 1;
            assert_eq!(envelope.encode(), bytes, "seed {seed}");
        }
    }
    assert!(accepted > 10_000, "{accepted} were accepted");
}
