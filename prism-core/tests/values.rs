//! What the core's values say of themselves.

use prism_core::{ClientRequest, CloseCode, MaskKeys, Message, ProtocolError, SendError};

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
fn mask_keys_show_their_name_and_no_key() {
    let keys = MaskKeys::new(|bytes| bytes.fill(7));
    assert_eq!(format!("{keys:?}"), "MaskKeys { .. }");
}
