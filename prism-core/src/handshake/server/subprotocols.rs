//! The subprotocols that a client offers (RFC 6455 §4.1), and which of them a server selects
//! (§4.2.2).

use crate::handshake::http::{headers::Headers, tokens};

/// Returns the subprotocols that a request offers, in the client's order of preference.
pub(super) fn offered(headers: Headers<'_>) -> impl Iterator<Item = &str> + Clone {
    tokens::elements(headers.all("Sec-WebSocket-Protocol"))
        .filter_map(|token| core::str::from_utf8(token).ok())
}

/// Returns the first of `own`, in the server's order of preference, that a request offers.
pub(super) fn first_common<P: AsRef<str>>(
    headers: Headers<'_>,
    own: impl IntoIterator<Item = P>,
) -> Option<&str> {
    own.into_iter().find_map(|own| offered(headers).find(|&offered| offered == own.as_ref()))
}
