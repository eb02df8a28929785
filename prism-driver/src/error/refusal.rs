//! [`Refusal`]: what a server, or a proxy, responded instead of opening a connection.

use std::borrow::Cow;

use prism_core::{Headers, Response};

/// A server's response other than "101 Switching Protocols", or [a proxy's](crate::ProxyFailure::Refused) that opens no
/// tunnel.
///
/// A server's is returned once it is complete, but no later than one second after its status has arrived, with as much
/// of the rest as there is by then. So a body that never ends delays a client only briefly.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The status code, such as 401 or 302.
    pub status: u16,
    /// The header lines, as names and values. Empty if the head was incomplete or malformed.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The start of the body, at most 8 KiB of it, without the framing of chunks. It may be incomplete.
    pub body: Vec<u8>,
    /// How many redirects the client had followed before it got this response.
    pub redirects: u32,
}

impl Refusal {
    /// Returns whether the server, or the proxy, may accept the same request later, by the status alone.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500 | 502..=504)
    }

    /// Returns a header. Its name is not case-sensitive. Several lines are joined as for
    /// [`Connection::header`](crate::Connection::header).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        Headers::join(name, self.values(name))
    }

    /// Returns the values of all lines of a header, in order. Use this for `Set-Cookie`, whose lines cannot be
    /// separated again once they are joined.
    pub fn header_all(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        self.values(name).map(String::from_utf8_lossy)
    }

    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let has_name = move |(own_name, _): &&(String, _)| own_name.eq_ignore_ascii_case(name);
        self.headers.iter().filter(has_name).map(|(_, value)| &**value)
    }
}

impl From<&Response<'_>> for Refusal {
    fn from(response: &Response<'_>) -> Self {
        let headers =
            response.headers().iter().map(|(name, value)| (name.to_owned(), value.to_vec()));
        Self {
            status: response.status(),
            headers: headers.collect(),
            body: response.body().to_vec(),
            redirects: 0,
        }
    }
}
