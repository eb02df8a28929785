//! Streams, valid and invalid (RFC 6455 §5 to §8), that `chunking.rs` cuts everywhere.

use prism_core::Role;

#[cfg(feature = "deflate")]
use crate::common::deflate;
use crate::common::{
    frame::{Claim, Frame, encode_all},
    machine::{Machine, limited},
};

/// The message limit that the streams are made for.
pub(crate) const LIMIT: usize = 70_000;

/// What one peer sends, from the first byte to the last.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    pub(crate) name: String,
    /// The receiver.
    pub(crate) role: Role,
    pub(crate) bytes: Vec<u8>,
    /// Whether compression was agreed, with takeover.
    pub(crate) is_compressed: bool,
}

impl Vector {
    /// Returns the receiver.
    pub(crate) fn machine(&self) -> Machine {
        let machine = Machine::new(self.role, &limited(LIMIT));
        if self.is_compressed { with_compression(machine) } else { machine }
    }
}

#[cfg(feature = "deflate")]
fn with_compression(machine: Machine) -> Machine {
    machine.with_deflate(&deflate::eager(), deflate::takeover())
}

#[cfg(not(feature = "deflate"))]
fn with_compression(_: Machine) -> Machine {
    unreachable!("without the feature there are no such streams")
}

/// All streams, for both roles.
pub(crate) fn vectors() -> Vec<Vector> {
    let mut all = Vec::new();
    for (name, frames) in frame_vectors() {
        for (role, sender) in [(Role::Server, Role::Client), (Role::Client, Role::Server)] {
            let name = format!("{name}, to a {role:?}");
            let bytes = encode_all(sender, frames.clone());
            all.push(Vector { name, role, bytes, is_compressed: false });
        }
    }
    #[cfg(feature = "deflate")]
    for (name, frames) in compressed() {
        for (role, sender) in [(Role::Server, Role::Client), (Role::Client, Role::Server)] {
            let name = format!("{name}, compressed, to a {role:?}");
            let bytes = encode_all(sender, frames.clone());
            all.push(Vector { name, role, bytes, is_compressed: true });
        }
    }
    for (name, frames) in wrongly_masked() {
        for role in [Role::Server, Role::Client] {
            let wire = frames.iter().flat_map(Frame::encoded).collect();
            let name = format!("{name}, to a {role:?}");
            all.push(Vector { name, role, bytes: wire, is_compressed: false });
        }
    }
    all
}

type Named = (String, Vec<Frame>);

fn frame_vectors() -> Vec<Named> {
    let groups: [fn() -> Vec<Named>; 7] =
        [messages, fragments, controls, closes, texts, headers, sizes];
    groups.iter().flat_map(|group| group()).collect()
}

fn named(name: &str, frames: impl IntoIterator<Item = Frame>) -> Named {
    (name.into(), frames.into_iter().collect())
}

fn messages() -> Vec<Named> {
    vec![
        named("nothing", []),
        named("one text", [Frame::text("Hello")]),
        named("one binary", [Frame::binary([0, 255, 128])]),
        named("empty messages", [Frame::text(""), Frame::binary(""), Frame::text("")]),
        named("several messages", [Frame::text("a"), Frame::binary("bc"), Frame::text("défg")]),
        named("a medium length", [Frame::text("x".repeat(126)), Frame::binary([1; 300])]),
        named("many small ones", (0..40).map(|i| Frame::text(format!("message {i}")))),
    ]
}

fn fragments() -> Vec<Named> {
    let more = |payload: &str| Frame::continuation(payload).unfinished();
    vec![
        named("two fragments", [Frame::text("Hel").unfinished(), Frame::continuation("lo")]),
        named(
            "empty fragments",
            [
                Frame::binary("").unfinished(),
                more(""),
                more("x"),
                more(""),
                Frame::continuation(""),
            ],
        ),
        named(
            "control frames between fragments",
            [
                Frame::text("One ").unfinished(),
                Frame::ping("1"),
                more("two "),
                Frame::pong("2"),
                Frame::ping(""),
                Frame::continuation("three"),
                Frame::text("next"),
            ],
        ),
        named(
            "a fragmented message behind a whole one",
            [Frame::binary("whole"), Frame::binary("a").unfinished(), Frame::continuation("b")],
        ),
        named("a message that is not finished", [Frame::text("a").unfinished(), more("b")]),
        named("a stray continuation", [Frame::text("a"), Frame::continuation("b")]),
        named("an empty stray continuation", [Frame::continuation(""), Frame::text("a")]),
        named(
            "interleaved messages",
            [Frame::text("a").unfinished(), Frame::ping("p"), Frame::binary("b")],
        ),
        named(
            "as many empty fragments as are allowed",
            [
                vec![Frame::text("a").unfinished()],
                vec![more(""); 32],
                vec![Frame::continuation("b")],
            ]
            .concat(),
        ),
        named(
            "too many empty fragments",
            [vec![Frame::text("").unfinished()], vec![more(""); 40]].concat(),
        ),
    ]
}

fn controls() -> Vec<Named> {
    let fragmented = |frame: Frame| {
        named(&format!("a fragment of opcode {}", frame.opcode()), [Frame::text("a"), frame])
    };
    let flood = (0..700_u32).map(|i| Frame::ping([i.to_be_bytes(); 30].concat()));
    vec![
        named("pings and pongs", [Frame::ping(""), Frame::pong("x"), Frame::ping([7; 125])]),
        named("pings among messages", [Frame::ping("1"), Frame::text("a"), Frame::ping("2")]),
        named("a flood of pings", flood),
        named("a ping that is too long", [Frame::text("a"), Frame::ping([1; 126])]),
        named("a pong that is far too long", [Frame::pong([1; 70_000])]),
        named(
            "a pong that claims the most",
            [Frame::pong("").claiming(Claim::Bits64(u64::MAX >> 1)), Frame::text("a")],
        ),
        fragmented(Frame::ping("x").unfinished()),
        fragmented(Frame::pong("").unfinished()),
        fragmented(Frame::close(1000, "").unfinished()),
    ]
}

fn closes() -> Vec<Named> {
    let mut all = vec![
        named("a close", [Frame::close(1000, "bye")]),
        named("an empty close", [Frame::empty_close()]),
        named("a close of a code's length", [Frame::close(4999, "")]),
        named("a close as long as may be", [Frame::close(3000, "x".repeat(123))]),
        named("two closes", [Frame::close(1000, "one"), Frame::close(1001, "two")]),
        named("a close inside a message", [Frame::text("a").unfinished(), Frame::close(1001, "")]),
        named(
            "a close with good frames behind it",
            [Frame::text("a"), Frame::close(1000, ""), Frame::text("b"), Frame::ping("c")],
        ),
        named(
            "a close with garbage behind it",
            [Frame::ping("a"), Frame::close(1000, ""), Frame::new(15, [0xff; 99]).flip(0x70)],
        ),
        named("a close of one byte", [Frame::new(8, [3]), Frame::text("a")]),
        named("a close whose reason is not UTF-8", [Frame::close(1000, b"a\xffb")]),
        named("a close whose reason is cut", [Frame::close(1000, b"a\xe2\x82")]),
    ];
    for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535] {
        all.push(named(&format!("a close with code {code}"), [Frame::close(code, "x")]));
    }
    all
}

fn texts() -> Vec<Named> {
    let mut all = vec![named(
        "characters across fragments",
        "aé€🦀".bytes().enumerate().map(|(i, byte)| match i {
            0 => Frame::text([byte]).unfinished(),
            9 => Frame::continuation([byte]),
            _ => Frame::continuation([byte]).unfinished(),
        }),
    )];
    let wrong: [&[u8]; 9] = [
        b"\xff",
        b"\x80",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x28\xa1",
        b"\xe2\x82",
        b"\xf0\x9f\xa6",
        b"\xc3",
    ];
    for bytes in wrong {
        let payload = |before: &[u8], behind: &[u8]| [before, bytes, behind].concat();
        let name = |place: &str| format!("wrong text {bytes:02x?} {place}");
        let first = Frame::text("é").unfinished();
        let last = Frame::continuation("z");
        let (cut, rest) = bytes.split_at(bytes.len() / 2);
        all.extend([
            named(&name("alone"), [Frame::text(bytes), Frame::text("next")]),
            named(&name("at the start"), [Frame::text(payload(b"", b" and more text"))]),
            named(
                &name("inside"),
                [Frame::text(payload("€ ".as_bytes(), b" more")), Frame::ping("")],
            ),
            named(&name("at the end"), [Frame::text(payload(b"0123456789abcdef", b""))]),
            named(&name("in the first fragment"), [Frame::text(bytes).unfinished(), last.clone()]),
            named(
                &name("in a middle fragment"),
                [first.clone(), Frame::continuation(bytes).unfinished(), Frame::ping("p"), last],
            ),
            named(&name("in the last fragment"), [first, Frame::continuation(bytes)]),
            named(
                &name("across fragments"),
                [Frame::text(cut).unfinished(), Frame::ping("p"), Frame::continuation(rest)],
            ),
            named(
                &name("before an empty last fragment"),
                [Frame::text(bytes).unfinished(), Frame::continuation("")],
            ),
        ]);
    }
    all
}

fn headers() -> Vec<Named> {
    let mut all = Vec::new();
    for bits in [0x10, 0x20, 0x40, 0x70] {
        let frames = [Frame::text("a"), Frame::text("b").flip(bits), Frame::text("c")];
        all.push(named(&format!("reserved bits {bits:#x}"), frames));
        let frames = [Frame::text("a").unfinished(), Frame::ping("b").flip(bits)];
        all.push(named(&format!("reserved bits {bits:#x} in a ping"), frames));
    }
    for opcode in [3, 7, 11, 15] {
        let frames = [Frame::ping("a"), Frame::new(opcode, "bcd"), Frame::text("e")];
        all.push(named(&format!("opcode {opcode}"), frames));
    }
    let claims = [
        Claim::Bits16(0),
        Claim::Bits16(125),
        Claim::Bits64(0),
        Claim::Bits64(65_535),
        Claim::Bits64(70_001),
        Claim::Bits64(1 << 62),
        Claim::Bits64(1 << 63),
        Claim::Bits64(u64::MAX),
    ];
    for claim in claims {
        for frame in [Frame::text("abc"), Frame::ping("abc"), Frame::close(1000, "")] {
            let name = format!("{claim:?} in opcode {}", frame.opcode());
            all.push(named(&name, [Frame::text("ok"), frame.claiming(claim), Frame::text("late")]));
        }
    }
    all
}

fn sizes() -> Vec<Named> {
    let bytes = |len: usize| (0..len).map(|i| (i % 253) as u8).collect::<Vec<_>>();
    vec![
        named("a binary of 65535 bytes", [Frame::binary(bytes(65_535)), Frame::ping("x")]),
        named("a binary of 65536 bytes", [Frame::binary(bytes(65_536)), Frame::ping("x")]),
        named("a text of 69999 bytes", [Frame::text("€".repeat(23_333)), Frame::text("x")]),
        named("a message of the limit", [Frame::binary(bytes(LIMIT)), Frame::text("x")]),
        named("a message of one more", [Frame::text("x"), Frame::binary(bytes(LIMIT + 1))]),
        named(
            "fragments of one more than the limit",
            [Frame::binary(bytes(LIMIT)).unfinished(), Frame::ping("x"), Frame::continuation("y")],
        ),
        named(
            "a long text with a wrong byte near its end",
            [Frame::text([&[b'x'; 60_000][..], b"\xffyz"].concat()), Frame::ping("late")],
        ),
    ]
}

/// Masked and unmasked frames, one of which is wrong for each receiver.
fn wrongly_masked() -> Vec<Named> {
    let plain = [Frame::text("a"), Frame::ping("b"), Frame::close(1000, "")];
    let mut all = Vec::new();
    for frame in plain {
        let opcode = frame.opcode();
        let frames = [Frame::text("a").masked(), frame.clone(), Frame::text("c").masked()];
        all.push(named(&format!("an unmasked {opcode} among masked frames"), frames));
        let frames = [Frame::text("a"), frame.masked(), Frame::text("c")];
        all.push(named(&format!("a masked {opcode} among unmasked frames"), frames));
    }
    all
}

/// Streams on a connection with compression.
#[cfg(feature = "deflate")]
fn compressed() -> Vec<Named> {
    use deflate::{EMPTY_FINAL, HELLO, HELLO_AGAIN, HELLO_FINAL, HELLO_IN_TWO, NOTHING};
    let text = |payload: &[u8]| Frame::text(payload).compressed();
    let more = |payload: &[u8]| Frame::continuation(payload).unfinished();
    let stored = |plain: &[u8]| text(&deflate::stored_message(plain));
    let bytes: Vec<_> = (0..5000).map(|i| (i % 97) as u8).collect();
    vec![
        named("two messages", [text(HELLO), text(HELLO_AGAIN), Frame::text("plain")]),
        named("final blocks", [text(HELLO_FINAL), text(&HELLO_FINAL[..7]), text(HELLO_AGAIN)]),
        named("two blocks", [text(HELLO_IN_TWO), Frame::ping("x"), text(NOTHING)]),
        named(
            "fragments with control frames between them",
            [
                text(&HELLO[..2]).unfinished(),
                Frame::ping("1"),
                more(&HELLO[2..3]),
                more(b""),
                Frame::pong("2"),
                Frame::continuation(&HELLO[3..]),
                text(HELLO_AGAIN),
            ],
        ),
        named("a long message", [stored(&bytes), Frame::ping("x"), stored(&bytes[..999])]),
        named("a message of one more than the limit", [stored(&[b'x'; LIMIT + 1])]),
        named("corrupt data", [text(HELLO), text(b"\xff\xff"), text(HELLO)]),
        named("an incomplete message", [text(HELLO), text(&HELLO[..3]), text(HELLO)]),
        named("text that is not UTF-8", [stored(b"abc\xffdef"), Frame::ping("late")]),
        named("too many final blocks", [text(&EMPTY_FINAL.repeat(40)), Frame::ping("late")]),
        named("RSV1 in a ping", [text(HELLO), Frame::ping("x").compressed()]),
        named(
            "RSV1 in a second fragment",
            [text(&HELLO[..2]).unfinished(), Frame::continuation(&HELLO[2..]).compressed()],
        ),
    ]
}
