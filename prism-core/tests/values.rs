//! What the core's values say of themselves.

use prism_core::{
    ClientRequest, CloseCode, MaskKeys, Message, ProtocolError, Reply, SendError, accept_key,
    normalize_path, percent_decode,
};

#[test]
fn a_message_is_text_or_binary() {
    assert_eq!(Message::Text("a").as_text(), Some("a"));
    assert_eq!(Message::Binary(b"a").as_text(), None);
    assert_eq!(Message::Text("a").as_bytes(), Message::Binary(b"a").as_bytes());
}

#[test]
fn a_peer_that_is_gone_cannot_be_told_a_close_code() {
    for gone in [ProtocolError::CloseTimeout, ProtocolError::UnexpectedEof] {
        assert_eq!(gone.close_code(), None, "{gone}");
    }
    assert_eq!(ProtocolError::UnmaskedFrame.close_code(), Some(CloseCode::PROTOCOL_ERROR));
}

#[test]
fn a_protocol_error_says_what_is_wrong() {
    for (error, words) in [
        (ProtocolError::ControlTooLong(200), "200 bytes"),
        (ProtocolError::InvalidCloseCode(1006), "close code 1006"),
        (ProtocolError::InvalidUtf8, "not UTF-8"),
        (ProtocolError::MessageTooBig(7), "more than 7 bytes"),
        (ProtocolError::ReservedOpcode(11), "opcode 0xb"),
    ] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_send_error_says_what_is_wrong() {
    assert!(SendError::Closed.to_string().contains("closed"));
    assert!(SendError::ControlTooLong(126).to_string().contains("126 bytes"));
}

#[test]
fn a_request_that_cannot_be_made_says_what_is_wrong() {
    let request = || ClientRequest::new("h", "/").expect("a valid request");
    for (refused, reason) in [
        (ClientRequest::new("h/", "/"), "invalid host"),
        (ClientRequest::new("h", "a"), "invalid target"),
        (request().subprotocol("a,b"), "invalid subprotocol"),
        (request().subprotocol("a").and_then(|a| a.subprotocol("a")), "subprotocol offered twice"),
        (request().header("a b", ""), "invalid header name"),
        (request().header("a", "\r\n"), "control character in the value"),
        (request().header("Host", "h"), "reserved header"),
    ] {
        let error = refused.expect_err(reason).to_string();
        assert!(error.starts_with(reason), "{error}");
    }
}

#[test]
fn a_client_request_has_the_target_that_it_was_made_with() {
    let request = ClientRequest::new("example.org", "/chat?room=1").expect("a valid request");
    assert_eq!(request.target(), "/chat?room=1");
}

#[test]
fn a_path_that_cannot_be_read_says_what_is_wrong() {
    for (path, reason) in [
        ("a", "expected a path that starts with \"/\""),
        ("/%", "malformed escape"),
        ("/%ff", "the decoded text is not UTF-8"),
    ] {
        let error = normalize_path(path).and_then(|_| percent_decode(path)).expect_err(reason);
        assert!(error.to_string().starts_with(reason), "{error}");
    }
}

#[test]
fn values_show_what_they_are_but_no_secrets() {
    let key = accept_key("dGhlIHNhbXBsZSBub25jZQ=="); // RFC 6455 §1.3
    let reply = Reply::new(200).body("a/b", "hi").expect("a valid header");
    let request = ClientRequest::new("h", "/a?token=secret")
        .and_then(|request| request.header("Authorization", "secret")?.subprotocol("secret"));
    for (shown, expected) in [
        (
            format!("{:?}", request.expect("a valid request")),
            r#"ClientRequest { host: "h", path: "/a", headers: ["Authorization"], .. }"#,
        ),
        (format!("{0} {0:?}", CloseCode::NORMAL), "1000 1000"),
        (format!("{key:?}"), r#""s3pPLMBiTxaQ9kYGzzhZRbK+xOo=""#),
        (
            format!("{reply:?}"),
            r#"Reply { status: 200, fields: ["Content-Type"], content: b"hi" }"#,
        ),
        (format!("{:?}", MaskKeys::new(|bytes| bytes.fill(7))), "MaskKeys { .. }"),
    ] {
        assert_eq!(shown, expected);
    }
}
