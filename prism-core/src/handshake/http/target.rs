//! The target of a request (RFC 9112 §3.2).

use alloc::borrow::Cow;

use crate::handshake::{
    error::HandshakeError,
    http::{
        headers::Only,
        path::{InvalidPath, normalize_path},
    },
};

/// Returns whether the bytes are a valid host and port (RFC 3986 §3.2), without a user or a path.
///
/// They must not be empty: "A recipient that processes such a URI reference MUST reject it as
/// invalid" (RFC 9110 §4.2.1).
pub(crate) fn is_authority(bytes: &[u8]) -> bool {
    let is_allowed = |byte: &u8| match byte {
        b'-' | b'.' | b'_' | b'~' | b'%' | b':' | b'[' | b']' => true,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => true,
        byte => byte.is_ascii_alphanumeric(),
    };
    !bytes.is_empty() && bytes.iter().all(is_allowed)
}

/// Returns whether a target contains only valid characters (RFC 9112 §3.2): visible ASCII, and no
/// fragment.
///
/// RFC 6455 §3: "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT
/// be used on these URIs."
pub(crate) fn is_target_text(target: &str) -> bool {
    target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// Returns the normal form of the path of a target: in origin-form, absolute-form, or
/// asterisk-form, which only OPTIONS may use (RFC 9112 §3.2.1, §3.2.2, §3.2.4).
pub(crate) fn parse_path<'a>(
    method: &str,
    target: &'a str,
) -> Result<Cow<'a, str>, HandshakeError> {
    if method == "OPTIONS" && target == "*" {
        return Ok(Cow::Borrowed(target));
    }
    let (authority, rest) = split_target(target);
    let is_host = authority.is_none_or(|authority| is_authority(authority.as_bytes()));
    if !is_target_text(target) || !is_host {
        return Err(HandshakeError::InvalidTarget);
    }
    let end = rest.bytes().position(|byte| byte == b'?').unwrap_or(rest.len());
    let path = match &rest[..end] {
        // RFC 9110 §4.2.3: "an empty path component is equivalent to an absolute path of "/"".
        "" if authority.is_some() => "/",
        path => path,
    };
    normalize_path(path).map_err(|error| match error {
        InvalidPath::Escape => HandshakeError::InvalidEscape,
        InvalidPath::Relative | InvalidPath::NotUtf8 => HandshakeError::InvalidTarget,
    })
}

/// Returns the query of a target: what follows the first `?`.
pub(crate) fn query(target: &str) -> Option<&str> {
    target.split_once('?').map(|(_, query)| query)
}

/// Returns the host and port of a valid request: the authority of an absolute target, which takes
/// precedence (RFC 9112 §3.2.2), or the value of `Host`.
pub(crate) fn host<'a>(target: &'a str, header: Only<'a>) -> &'a str {
    match (split_target(target).0, header) {
        (Some(authority), _) => authority,
        // An accepted host is ASCII.
        (None, Only::One(host)) => core::str::from_utf8(host).unwrap_or_default(),
        (None, Only::None | Only::Several) => "",
    }
}

/// Splits a target into its authority, if it is absolute, and its path and query.
pub(crate) fn split_target(target: &str) -> (Option<&str>, &str) {
    if target.starts_with('/') {
        return (None, target);
    }
    match target.split_once("://") {
        Some((scheme, rest))
            if ["ws", "wss", "http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s)) =>
        {
            let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (Some(authority), path)
        }
        _ => (None, target),
    }
}
