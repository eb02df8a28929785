use bytes::Bytes;

use super::{
    Decoder, MAX_LINE, MAX_PAYLOAD, Malformed, Operation, push_connect, push_ping, push_pong,
    push_publish, push_subscribe, push_unsubscribe,
};

fn message(subscription: u64, payload: &'static str) -> Operation {
    Operation::Message { subscription, payload: payload.into() }
}

/// Every kind of operation, and what is understood of it.
fn examples() -> Vec<(&'static str, Operation)> {
    vec![
        ("INFO {\"max_payload\":1048576}\r\n", Operation::Info("{\"max_payload\":1048576}".into())),
        ("INFO  {\"a\": [1, 2]} \t\r\n", Operation::Info("{\"a\": [1, 2]}".into())),
        ("INFO\r\n", Operation::Info(Bytes::new())),
        ("PING\r\n", Operation::Ping),
        ("pong \r\n", Operation::Pong),
        ("+OK\r\n", Operation::Ok),
        ("-ERR 'Stale Connection'\r\n", Operation::Error("'Stale Connection'".into())),
        ("-ERR\r\n", Operation::Error(Bytes::new())),
        ("MSG prism.r:tea 7 5\r\nhello\r\n", message(7, "hello")),
        ("MSG a 1 0\r\n\r\n", message(1, "")),
        ("MSG a 1 _INBOX.x 4\r\n\r\n\r\n\r\n", message(1, "\r\n\r\n")),
        (
            "msg\ta \t 9999999999999999999  4 \r\nPING\r\n",
            message(9_999_999_999_999_999_999, "PING"),
        ),
    ]
}

fn operations(decoder: &mut Decoder) -> Vec<Operation> {
    std::iter::from_fn(|| decoder.poll_operation().unwrap()).collect()
}

#[test]
fn operations_are_the_same_however_they_arrive() {
    let bytes: String = examples().iter().map(|(bytes, _)| *bytes).collect();
    let expected: Vec<_> = examples().into_iter().map(|(_, operation)| operation).collect();
    for split in 0..=bytes.len() {
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for part in [&bytes[..split], &bytes[split..]] {
            decoder.receive(part.as_bytes());
            found.extend(operations(&mut decoder));
        }
        assert_eq!(found, expected, "split at {split}");
        assert!(decoder.is_empty());
    }
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for byte in bytes.as_bytes() {
        assert_eq!(decoder.poll_operation(), Ok(None));
        decoder.receive(&[*byte]);
        found.extend(operations(&mut decoder));
    }
    assert_eq!(found, expected);
}

#[test]
fn what_is_not_complete_is_kept() {
    for bytes in ["P", "MSG a 1 2\r\n", "MSG a 1 2\r\nab", "PING\r"] {
        let mut decoder = Decoder::default();
        decoder.receive(bytes.as_bytes());
        assert_eq!(decoder.poll_operation(), Ok(None), "{bytes:?}");
        assert!(!decoder.is_empty(), "{bytes:?}");
    }
}

#[test]
fn bytes_that_are_no_operation_are_refused() {
    for (bytes, expected) in [
        ("SSH-2.0-OpenSSH_9.2p1 Debian\r\n", Malformed::Operation("SSH-2.0-OpenSSH_".to_owned())),
        ("\r\n", Malformed::Operation(String::new())),
        ("PINGS\r\n", Malformed::Operation("PINGS".to_owned())),
        ("HMSG a 1 12 12\r\n", Malformed::Operation("HMSG".to_owned())), // it was not asked for
        ("PING\n", Malformed::End),
        ("\n", Malformed::End),
        ("MSG a 1 1\r\nab\r\n", Malformed::End),
        ("MSG a 1\r\n", Malformed::Message),
        ("MSG\r\n", Malformed::Message),
        ("MSG a 1 b 1 1\r\n", Malformed::Message),
        ("MSG a b 1\r\n", Malformed::Message),
        ("MSG a -1 1\r\n", Malformed::Message),
        ("MSG a 1 +1\r\n", Malformed::Message),
        ("MSG a 1 18446744073709551614\r\n", Malformed::Message),
        ("MSG a 1 4194305\r\n", Malformed::MessageTooLong),
        ("MSG a 1 9999999999999999999\r\n", Malformed::MessageTooLong),
    ] {
        let mut decoder = Decoder::default();
        decoder.receive(bytes.as_bytes());
        assert_eq!(decoder.poll_operation(), Err(expected), "{bytes:?}");
    }
}

#[test]
fn a_line_without_end_is_refused() {
    let mut decoder = Decoder::default();
    let mut received = 0;
    while decoder.poll_operation() == Ok(None) {
        decoder.receive(&[b'a'; 100]);
        received += 100;
    }
    assert_eq!(decoder.poll_operation(), Err(Malformed::LineTooLong));
    assert!((MAX_LINE..MAX_LINE + 200).contains(&received), "{received}");
    let mut decoder = Decoder::default();
    decoder.receive(&[[b'a'; MAX_LINE].as_slice(), b"\r\n"].concat());
    assert_eq!(decoder.poll_operation(), Err(Malformed::LineTooLong), "also with an end");
}

#[test]
fn a_length_that_is_claimed_allocates_nothing() {
    let mut decoder = Decoder::default();
    decoder.receive(format!("MSG a 1 {MAX_PAYLOAD}\r\nhello").as_bytes());
    assert_eq!(decoder.poll_operation(), Ok(None));
    assert!(decoder.buffer.capacity() < 1000);
}

#[test]
fn the_longest_messages_are_read() {
    let payload = vec![b'x'; (1 << 20) + 100];
    let mut bytes = Vec::new();
    for _ in 0..3 {
        bytes.extend(format!("MSG a 1 {}\r\n", payload.len()).into_bytes());
        bytes.extend(&payload);
        bytes.extend(b"\r\n");
    }
    let mut decoder = Decoder::default();
    let mut found = 0;
    for part in bytes.chunks(1000) {
        decoder.receive(part);
        for operation in operations(&mut decoder) {
            assert!(
                matches!(operation, Operation::Message { payload: read, .. } if read == payload)
            );
            found += 1;
        }
    }
    assert_eq!(found, 3);
    decoder.receive(b"+");
    assert!(decoder.buffer.capacity() < 100_000, "no memory is kept for them");
}

#[test]
fn a_server_is_told_what_to_do_in_lines() {
    let mut out = Vec::new();
    push_connect(&mut out, "{\"verbose\":false}");
    push_subscribe(&mut out, "prism.all", 1);
    push_publish(&mut out, "prism.r:tea", b"a\r\nb");
    push_publish(&mut out, "prism.all", b"");
    push_unsubscribe(&mut out, 1);
    push_ping(&mut out);
    push_pong(&mut out);
    let expected = "CONNECT {\"verbose\":false}\r\nSUB prism.all 1\r\nPUB prism.r:tea 4\r\na\r\nb\r\n\
        PUB prism.all 0\r\n\r\nUNSUB 1\r\nPING\r\nPONG\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
