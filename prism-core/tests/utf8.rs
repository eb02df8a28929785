//! RFC 6455 §8.1: text is UTF-8, wherever it is cut, and invalid text fails at its first wrong
//! byte.

use prism_core::{ProtocolError, Role};

use crate::common::{
    Seen, binary, error,
    frame::{Frame, TEXT, masked},
    machine::{Machine, assert_fails},
    text,
};

const INVALID: Seen = error(ProtocolError::InvalidUtf8);

/// Texts with a character of each length at the edges of UTF-8, and the noncharacters, which count
/// as characters here (Unicode, Corrigendum #9).
const RIGHT: [&str; 14] = [
    "",
    "a",
    "\u{0}",
    "\u{7f}\u{80}",
    "\u{7ff}\u{800}",
    "\u{d7ff}\u{e000}",
    "\u{fdd0}\u{fdef}",
    "\u{fffe}\u{ffff}",
    "\u{10000}\u{1fffe}\u{1ffff}",
    "\u{10fffe}\u{10ffff}",
    "κόσμε",
    "Hello-µ@ßöäüàá-UTF-8!!",
    "日本語 🦀",
    "\u{feff}with a byte order mark",
];

/// Bytes that are not text, and how many of them are needed to know that.
const WRONG: [(&[u8], usize); 24] = [
    (b"\x80", 1),
    (b"\xbf", 1),
    (b"\xc0\x80", 1),
    (b"\xc1\xbf", 1),
    (b"\xc2\x7f", 2),
    (b"\xc2\xc2", 2),
    (b"\xdf\xc0", 2),
    (b"\xe0\x80\x80", 2),
    (b"\xe0\x9f\xbf", 2),
    (b"\xe2\x82\x28", 3),
    (b"\xe2\x28\xa1", 2),
    (b"\xed\xa0\x80", 2),
    (b"\xed\xbf\xbf", 2),
    (b"\xef\xbf\xff", 3),
    (b"\xf0\x80\x80\x80", 2),
    (b"\xf0\x8f\xbf\xbf", 2),
    (b"\xf0\x9f\xa6\x28", 4),
    (b"\xf1\x80\x41\x80", 3),
    (b"\xf4\x8f\xbf\xc0", 4),
    (b"\xf4\x90\x80\x80", 2),
    (b"\xf5\x80\x80\x80", 1),
    (b"\xf8\x88\x80\x80", 1),
    (b"\xfe", 1),
    (b"\xff", 1),
];

/// Incomplete characters.
const BEGUN: [&[u8]; 10] = [
    b"\xc2",
    b"\xdf",
    b"\xe0\xa0",
    b"\xe2",
    b"\xe2\x82",
    b"\xed\x9f",
    b"\xf0\x90",
    b"\xf0\x9f\xa6",
    b"\xf4",
    b"\xf4\x8f\xbf",
];

#[test]
fn every_character_is_text() {
    let all: String = (char::MIN..=char::MAX).collect();
    let mut client = Machine::client();
    for start in (0..all.len()).step_by(60_000) {
        let end = all.floor_char_boundary(start + 60_000);
        let piece = &all[all.floor_char_boundary(start)..end];
        assert_eq!(client.receive_frames([Frame::text(piece)]), [text(piece)]);
    }
}

#[test]
fn text_is_valid_in_any_two_fragments() {
    for right in RIGHT {
        for cut in 0..=right.len() {
            let (first, second) = right.as_bytes().split_at(cut);
            for mut machine in Machine::both() {
                let frames = [Frame::text(first).unfinished(), Frame::continuation(second)];
                assert_eq!(machine.receive_frames(frames), [text(right)], "cut at {cut}");
            }
        }
    }
}

#[test]
fn text_is_valid_in_fragments_of_one_byte_and_empty_ones() {
    for right in RIGHT {
        let mut frames = vec![Frame::text("").unfinished()];
        for byte in right.bytes() {
            frames.push(Frame::continuation([byte]).unfinished());
            frames.push(Frame::continuation("").unfinished());
        }
        frames.push(Frame::continuation(""));
        assert_eq!(Machine::server().receive_frames(frames), [text(right)]);
    }
}

#[test]
fn invalid_text_is_refused_anywhere_in_a_message() {
    for (wrong, _) in WRONG {
        for before in ["", "before", "é", &"x".repeat(100)] {
            for behind in ["", "behind", "€", &"x".repeat(100)] {
                let payload = [before.as_bytes(), wrong, behind.as_bytes()].concat();
                for mut machine in Machine::both() {
                    let wire = Frame::text(&payload).from(machine.peer()).encoded();
                    assert_fails(&mut machine, &wire, ProtocolError::InvalidUtf8);
                }
            }
        }
    }
}

#[test]
fn invalid_text_is_valid_as_binary() {
    for (wrong, _) in WRONG {
        assert_eq!(Machine::client().receive_frames([Frame::binary(wrong)]), [binary(wrong)]);
    }
}

#[test]
fn invalid_text_fails_at_its_first_wrong_byte() {
    for (wrong, known) in WRONG {
        for before in ["", "before", "€", &"x".repeat(100)] {
            // A long frame, read byte by byte.
            let head = before.len() + known;
            let payload = [before.as_bytes(), wrong, &[b'x'; 1000]].concat();
            for mut machine in Machine::both() {
                let wire = Frame::text(&payload).from(machine.peer()).encoded();
                let header = wire.len() - payload.len();
                for byte in &wire[..header + head - 1] {
                    assert_eq!(machine.receive(&[*byte]), [], "{wrong:x?} is not wrong yet");
                }
                assert_eq!(
                    machine.receive(&wire[header + head - 1..][..1]),
                    [INVALID],
                    "{wrong:x?}"
                );
            }
        }
    }
}

#[test]
fn invalid_text_fails_in_the_fragment_that_shows_it() {
    for (wrong, known) in WRONG {
        let mut client = Machine::client();
        assert_eq!(client.receive_frames([Frame::text("ok ").unfinished()]), []);
        for byte in &wrong[..known - 1] {
            let fragment = Frame::continuation([*byte]).unfinished();
            assert_eq!(client.receive_frames([fragment]), [], "{wrong:x?} is not wrong yet");
        }
        let fragment = Frame::continuation([wrong[known - 1]]).unfinished();
        assert_eq!(client.receive_frames([fragment]), [INVALID], "{wrong:x?}");
    }
}

#[test]
fn invalid_text_fails_before_a_later_control_frame() {
    for mut machine in Machine::both() {
        let frames =
            [Frame::text(b"ab\xff").unfinished(), Frame::ping("x"), Frame::continuation("")];
        assert_eq!(machine.receive_frames(frames), [INVALID]);
        assert_eq!(machine.sent()[0].close_code(), Some(1007));
    }
}

#[test]
fn a_message_that_ends_inside_a_character_is_refused() {
    for begun in BEGUN {
        let payload = [b"ok ", begun].concat();
        for mut machine in Machine::both() {
            assert_eq!(machine.receive_frames([Frame::text(&payload)]), [INVALID], "{begun:x?}");
        }
        for mut machine in Machine::both() {
            assert_eq!(
                machine.receive_frames([Frame::text(&payload).unfinished()]),
                [],
                "it may go on"
            );
            assert_eq!(machine.receive_frames([Frame::continuation("")]), [INVALID], "{begun:x?}");
        }
        for mut machine in Machine::both() {
            machine.receive_frames([
                Frame::text("").unfinished(),
                Frame::continuation(begun).unfinished(),
            ]);
            machine.receive_frames([Frame::continuation("").unfinished()]);
            assert_eq!(machine.receive_frames([Frame::continuation("")]), [INVALID], "{begun:x?}");
        }
    }
}

#[test]
fn a_character_does_not_continue_in_the_next_message() {
    let mut client = Machine::client();
    let whole = [Frame::text("é").unfinished(), Frame::continuation("ü")];
    assert_eq!(client.receive_frames(whole), [text("éü")]);
    assert_eq!(client.receive_frames([Frame::text("a")]), [text("a")]);
    let late = [Frame::text("abc").unfinished(), Frame::continuation(b"\xbc")];
    assert_eq!(client.receive_frames(late), [INVALID], "no rest of a character of another message");
}

/// Compares each prefix of one to four bytes that could matter with the standard library's verdict:
/// as a whole message, and as a fragment that may continue.
#[test]
fn every_interesting_prefix_is_judged_as_by_std() {
    // The last byte on each side of each edge in the table of RFC 3629 §4.
    const EDGES: [u8; 20] = [
        0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed,
        0xef, 0xf0, 0xf4, 0xf5, 0xff,
    ];
    for first in 0..=u8::MAX {
        agrees_with_std(&[first]);
        for second in 0..=u8::MAX {
            agrees_with_std(&[first, second]);
        }
    }
    for first in 0xe0..=0xf5 {
        for second in EDGES {
            for third in EDGES {
                agrees_with_std(&[first, second, third]);
                for fourth in EDGES.into_iter().filter(|_| first >= 0xf0) {
                    agrees_with_std(&[first, second, third, fourth]);
                }
            }
        }
    }
}

#[track_caller]
fn agrees_with_std(bytes: &[u8]) {
    let verdict = core::str::from_utf8(bytes);
    let whole = receive_one(&Frame::text(bytes));
    match verdict {
        Ok(right) => assert_eq!(whole, [text(right)], "{bytes:x?}"),
        Err(_) => assert_eq!(whole, [INVALID], "{bytes:x?}"),
    }
    let hopeless = verdict.is_err_and(|error| error.error_len().is_some());
    let fragment = receive_one(&Frame::text(bytes).unfinished());
    assert_eq!(fragment, if hopeless { vec![INVALID] } else { vec![] }, "{bytes:x?}");
}

fn receive_one(frame: &Frame) -> Vec<Seen> {
    Machine::client().receive(&frame.encoded())
}

#[test]
fn the_unmasked_bytes_are_checked() {
    // A key that makes wrong bytes of right ones on the wire, and vice versa.
    let key = [0x80; 4];
    let right = Frame::text("plain").masked_with(key).encoded();
    assert!(core::str::from_utf8(&right[6..]).is_err());
    assert_eq!(Machine::server().receive(&right), [text("plain")]);

    let wrong = masked(b"plain", key);
    let wire = Frame::new(TEXT, wrong).masked_with(key).encoded();
    assert_eq!(wire[6..], *b"plain");
    assert_eq!(Machine::server().receive(&wire), [INVALID]);
}

#[test]
fn one_wrong_byte_anywhere_in_long_text_is_refused() {
    let long = "0123456789abcdef".repeat(20);
    for at in 0..long.len() {
        let mut bytes = long.clone().into_bytes();
        bytes[at] = 0xff;
        let mut server = Machine::new(Role::Server, &crate::common::machine::quiet());
        assert_eq!(server.receive_frames([Frame::text(&bytes)]), [INVALID], "at {at}");
    }
}
