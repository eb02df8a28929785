use std::fmt::Write;

use bytes::Bytes;

use super::{Decoder, Frame, MAX_FRAME, Malformed, find};

fn scalars(texts: [&'static str; 3]) -> [Bytes; 3] {
    texts.map(Bytes::from)
}

/// Every kind of value, and what is understood of it.
fn examples() -> Vec<(&'static str, Frame)> {
    let reply = |texts| Frame::Reply(scalars(texts));
    let push = |texts| Frame::Push(scalars(texts));
    let message = ">3\r\n$7\r\nmessage\r\n$5\r\np:all\r\n$4\r\n\r\n$1\r\n";
    vec![
        ("+OK\r\n", reply(["OK", "", ""])),
        (":-17\r\n", reply(["-17", "", ""])),
        ("_\r\n", reply(["", "", ""])),
        ("$-1\r\n", reply(["", "", ""])),
        ("$0\r\n\r\n", reply(["", "", ""])),
        ("*0\r\n", reply(["", "", ""])),
        ("*-1\r\n", reply(["", "", ""])),
        ("#t\r\n", reply(["t", "", ""])),
        (",1.5\r\n", reply(["1.5", "", ""])),
        ("(123\r\n", reply(["123", "", ""])),
        ("=6\r\ntxt:hi\r\n", reply(["txt:hi", "", ""])),
        ("-NOPERM no\r\n", Frame::Error("NOPERM no".into())),
        ("!5\r\nERR a\r\n", Frame::Error("ERR a".into())),
        ("*3\r\n$6\r\nmaster\r\n:9\r\n*1\r\n*2\r\n+a\r\n+b\r\n", reply(["master", "9", "a"])),
        ("%0\r\n", Frame::Map("".into())),
        (
            "%2\r\n+a\r\n~2\r\n:1\r\n*0\r\n+b\r\n%0\r\n",
            Frame::Map("+a\r\n~2\r\n:1\r\n*0\r\n+b\r\n%0\r\n".into()),
        ),
        ("*2\r\n%1\r\n+a\r\n:1\r\n+b\r\n", reply(["a", "1", "b"])),
        (">3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n", push(["subscribe", "x", "1"])),
        (message, push(["message", "p:all", "\r\n$1"])),
        ("|1\r\n+ttl\r\n:9\r\n+OK\r\n", reply(["OK", "", ""])),
        ("|0\r\n|1\r\n+a\r\n*1\r\n+b\r\n>2\r\n+c\r\n+d\r\n", push(["c", "d", ""])),
        ("|1\r\n+a\r\n%0\r\n-ERR b\r\n", Frame::Error("ERR b".into())),
        ("*2\r\n|1\r\n+a\r\n+b\r\n+c\r\n+d\r\n", reply(["c", "d", ""])),
    ]
}

fn frames(decoder: &mut Decoder) -> Vec<Frame> {
    std::iter::from_fn(|| decoder.poll_frame().unwrap()).collect()
}

#[test]
fn frames_are_the_same_however_they_arrive() {
    let bytes: String = examples().iter().map(|(bytes, _)| *bytes).collect();
    let expected: Vec<_> = examples().into_iter().map(|(_, frame)| frame).collect();
    for split in 0..=bytes.len() {
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for part in [&bytes[..split], &bytes[split..]] {
            decoder.receive(part.as_bytes());
            found.extend(frames(&mut decoder));
        }
        assert_eq!(found, expected, "split at {split}");
    }
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for byte in bytes.as_bytes() {
        decoder.receive(&[*byte]);
        found.extend(frames(&mut decoder));
    }
    assert_eq!(found, expected);
}

#[test]
fn a_key_is_found_in_a_map() {
    let map = "+proto\r\n:3\r\n+modules\r\n*1\r\n%1\r\n+mode\r\n+a\r\n\
        |1\r\n+ttl\r\n:9\r\n$4\r\nmode\r\n$7\r\ncluster\r\n+empty\r\n%0\r\n";
    for (key, expected) in [
        ("proto", Some("3")),
        ("mode", Some("cluster")), // not that of the module
        ("empty", None),
        ("role", None),
    ] {
        assert_eq!(find(map.as_bytes(), key), expected.map(Bytes::from), "{key}");
    }
    assert_eq!(find(b"%0\r\n+a\r\n+mode\r\n+cluster\r\n", "mode"), None, "a key is a scalar");
    assert_eq!(find(b"+mode\r\n", "mode"), None);
}

#[test]
fn bytes_that_are_no_frame_are_refused() {
    for (bytes, expected) in [
        ("hello\r\n", Malformed::Type(b'h')),
        ("\r\n", Malformed::End),
        ("+\n", Malformed::End),
        ("$1\r\nab\r\n", Malformed::End),
        ("$\r\n", Malformed::Length),
        ("$-2\r\n", Malformed::Length),
        ("$+1\r\n", Malformed::Length),
        ("*1234567890123456789\r\n", Malformed::Length),
        (">-1\r\n", Malformed::Length),
        ("*1\r\n>1\r\n", Malformed::Type(b'>')),
        ("|-1\r\n", Malformed::Length),
        ("$4194304\r\n", Malformed::TooLong),
        ("$999999999999999999\r\n", Malformed::TooLong),
    ] {
        let mut decoder = Decoder::default();
        decoder.receive(bytes.as_bytes());
        assert_eq!(decoder.poll_frame(), Err(expected), "{bytes:?}");
    }
}

#[test]
fn arrays_are_not_nested_without_end() {
    let mut decoder = Decoder::default();
    decoder.receive("*1\r\n".repeat(16).as_bytes());
    assert_eq!(decoder.poll_frame(), Ok(None));
    decoder.receive(b"*1\r\n");
    assert_eq!(decoder.poll_frame(), Err(Malformed::TooDeep));
}

#[test]
fn a_count_that_is_claimed_allocates_nothing() {
    let mut decoder = Decoder::default();
    decoder.receive(b"*999999999999999999\r\n:1\r\n:2\r\n");
    assert_eq!(decoder.poll_frame(), Ok(None));
    assert!(decoder.open.capacity() < 100 && decoder.buffer.capacity() < 1000);
}

#[test]
fn a_frame_that_does_not_end_is_refused() {
    for beginning in ["+", "*99999999\r\n"] {
        let mut decoder = Decoder::default();
        decoder.receive(beginning.as_bytes());
        let piece = if beginning == "+" { "a".repeat(1 << 16) } else { "_\r\n".repeat(1 << 14) };
        let mut received = 0;
        while decoder.poll_frame() == Ok(None) {
            decoder.receive(piece.as_bytes());
            received += piece.len();
        }
        assert_eq!(decoder.poll_frame(), Err(Malformed::TooLong));
        assert!((MAX_FRAME..MAX_FRAME + (1 << 17)).contains(&received), "{received}");
    }
}

#[test]
fn the_longest_messages_are_read() {
    let payload = "x".repeat((1 << 20) + 100);
    let mut bytes = String::new();
    for _ in 0..3 {
        write!(bytes, ">3\r\n+message\r\n+a\r\n${}\r\n{payload}\r\n", payload.len()).unwrap();
    }
    let mut decoder = Decoder::default();
    let mut found = 0;
    for part in bytes.as_bytes().chunks(1000) {
        decoder.receive(part);
        for frame in frames(&mut decoder) {
            assert!(matches!(frame, Frame::Push([_, _, read]) if read == payload));
            found += 1;
        }
    }
    assert_eq!(found, 3);
    decoder.receive(b"+");
    assert!(decoder.buffer.capacity() < 100_000, "no memory is kept for them");
}
