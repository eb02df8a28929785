//! [`Known`]: the headers of a request that matter to a handshake.

use crate::handshake::http::headers::{Headers, Only};

/// The headers that a server has to understand, collected while the parser has them: to look one up
/// does not walk over all lines of the head.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a>([Only<'a>; Name::ALL.len()]);

/// A header that matters to a handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name {
    Host,
    Upgrade,
    Connection,
    Version,
    Key,
    Extensions,
    Subprotocol,
    TransferEncoding,
    ContentLength,
}

impl Name {
    const ALL: [Self; 9] = [
        Self::Host,
        Self::Upgrade,
        Self::Connection,
        Self::Version,
        Self::Key,
        Self::Extensions,
        Self::Subprotocol,
        Self::TransferEncoding,
        Self::ContentLength,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "Host",
            Self::Upgrade => "Upgrade",
            Self::Connection => "Connection",
            Self::Version => "Sec-WebSocket-Version",
            Self::Key => "Sec-WebSocket-Key",
            Self::Extensions => "Sec-WebSocket-Extensions",
            Self::Subprotocol => "Sec-WebSocket-Protocol",
            Self::TransferEncoding => "Transfer-Encoding",
            Self::ContentLength => "Content-Length",
        }
    }
}

/// The names, each at its index in [`Known`].
const NAMES: [&str; Name::ALL.len()] = {
    let mut names = [""; Name::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[Name::ALL[at] as usize] = Name::ALL[at].as_str();
        at += 1;
    }
    names
};

impl<'a> Known<'a> {
    /// Collects the known headers from the parsed ones.
    pub(crate) fn among(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut known = Self([Only::None; Name::ALL.len()]);
        for (name, value) in headers {
            let is_it = |known: &&str| known.eq_ignore_ascii_case(name);
            if let Some(at) = NAMES.iter().position(is_it) {
                let only = &mut known.0[at];
                *only = match only {
                    Only::None => Only::One(value),
                    Only::One(_) | Only::Several => Only::Several,
                };
            }
        }
        known
    }

    pub(crate) const fn only(self, name: Name) -> Only<'a> {
        self.0[name as usize]
    }

    /// Returns the values of a header that may appear several times in `all` lines.
    pub(crate) fn values(
        self,
        name: Name,
        all: Headers<'a>,
    ) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let (one, several) = match self.only(name) {
            Only::None => (None, None),
            Only::One(value) => (Some(value), None),
            Only::Several => (None, Some(all.all(name.as_str()))),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Headers, Known, Name, Only};

    /// Checks that both ways find the same.
    fn assert_same(head: &[u8]) {
        let mut slots = [httparse::EMPTY_HEADER; 128];
        let mut parsed = httparse::Request::new(&mut slots);
        assert!(parsed.parse(head).is_ok_and(|status| status.is_complete()));
        let known = Known::among(parsed.headers.iter().map(|it| (it.name, it.value)));
        let lines = Headers::of(head);
        for name in Name::ALL {
            let by_walking: Vec<_> = lines.all(name.as_str()).collect();
            let at_once: Vec<_> = known.values(name, lines).collect();
            assert_eq!(at_once, by_walking, "{name:?} in {}", head.escape_ascii());
            let only = match known.only(name) {
                Only::None => 0,
                Only::One(_) => 1,
                Only::Several => 2,
            };
            assert_eq!(only, by_walking.len().min(2), "{name:?} in {}", head.escape_ascii());
        }
    }

    #[test]
    fn known_headers_equal_those_of_a_walk_over_the_lines() {
        for value in ["", "a", " a", "a ", "\t a\t ", "a b", ",", "\u{e9}"] {
            let others = ["Host", "Hos", "Hostt", "X-Host", "hOST"].map(Some);
            for other in others.into_iter().chain([None]) {
                for name in Name::ALL {
                    let name = name.as_str();
                    let (shout, whisper) = (name.to_uppercase(), name.to_lowercase());
                    for again in [&[][..], &[shout.as_str()], &[whisper.as_str(), name]] {
                        let mut head = alloc::format!("GET / HTTP/1.1\r\n{name}:{value}\r\n");
                        for name in again.iter().copied().chain(other) {
                            head += &alloc::format!("{name}: {value}x\r\n");
                        }
                        head += "\r\n";
                        assert_same(head.as_bytes());
                    }
                }
            }
        }
    }

    #[test]
    fn a_head_without_lines_has_no_known_headers() {
        assert_same(b"GET / HTTP/1.1\r\n\r\n");
    }
}
