//! [`Known`]: the headers of a request that decide about a handshake.

use super::headers::{Headers, Only};

/// The headers that a server must understand, as the parser came by them: to ask for one costs no
/// walk over all the lines of a head.
#[derive(Clone, Copy)]
pub(super) struct Known<'a>([Only<'a>; NAMES.len()]);

/// A header that decides about a handshake.
#[derive(Clone, Copy)]
pub(super) enum Name {
    Host,
    Upgrade,
    Connection,
    Version,
    Key,
    Extensions,
    Protocol,
    TransferEncoding,
    ContentLength,
}

/// In the order of [`Name`].
const NAMES: [&str; 9] = [
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol",
    "Transfer-Encoding",
    "Content-Length",
];

impl<'a> Known<'a> {
    /// Those among the parsed headers.
    pub(super) fn among(headers: &[httparse::Header<'a>]) -> Self {
        let mut known = Self([Only::None; NAMES.len()]);
        for header in headers {
            let is_it = |name: &&str| name.eq_ignore_ascii_case(header.name);
            if let Some(at) = NAMES.iter().position(is_it) {
                known.0[at] = match known.0[at] {
                    Only::None => Only::One(header.value),
                    Only::One(_) | Only::Several => Only::Several,
                };
            }
        }
        known
    }

    pub(super) const fn only(self, name: Name) -> Only<'a> {
        self.0[name as usize]
    }

    /// The values of a header that may be there several times, among `all`.
    pub(super) fn values(
        self,
        name: Name,
        all: Headers<'a>,
    ) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let (one, several) = match self.only(name) {
            Only::None => (None, None),
            Only::One(value) => (Some(value), None),
            Only::Several => (None, Some(all.all(NAMES[name as usize]))),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }
}
