//! Parses the header of the PROXY protocol, versions 1 and 2, in the terms of [its specification][1].
//!
//! [1]: https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt

use std::{
    error::Error,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

const V1_PREFIX: &[u8] = b"PROXY ";

/// The maximum length of a header of version 1. "The maximum line lengths [...] So a 108-byte buffer is always enough to
/// store all the line and a trailing zero" (§2.1).
const V1_MAX: usize = 107;

const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The length of the signature, the version, the family and the length.
const V2_FIXED: usize = 16;

/// The maximum length of a header of version 2. A sender should not exceed it, because so much fits in any TCP segment
/// (§2). It leaves 304 bytes for extensions (TLVs) even after the longest addresses.
const V2_MAX: usize = 536;

/// A header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProxyHeader {
    /// How many bytes it takes.
    pub(crate) len: usize,
    /// The client's address. `None` if the proxy speaks for itself (LOCAL), or cannot name the client (UNKNOWN, or an
    /// address that is not of the internet).
    pub(crate) source: Option<SocketAddr>,
}

/// What is wrong with the first bytes of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidProxyHeader {
    Missing,
    Malformed,
    TooLong,
}

/// Parses the header that the received bytes begin with. Returns `None` if it has not arrived completely.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<ProxyHeader>, InvalidProxyHeader> {
    if bytes.starts_with(V1_PREFIX) {
        parse_v1(bytes)
    } else if bytes.starts_with(V2_SIGNATURE) {
        parse_v2(bytes)
    } else if V1_PREFIX.starts_with(bytes) || V2_SIGNATURE.starts_with(bytes) {
        Ok(None)
    } else {
        Err(InvalidProxyHeader::Missing)
    }
}

/// "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"
fn parse_v1(bytes: &[u8]) -> Result<Option<ProxyHeader>, InvalidProxyHeader> {
    let window = &bytes[..bytes.len().min(V1_MAX)];
    let Some(end) = window.windows(2).position(|two| two == b"\r\n") else {
        return if window.len() < V1_MAX { Ok(None) } else { Err(InvalidProxyHeader::TooLong) };
    };
    let line = str::from_utf8(&window[V1_PREFIX.len()..end]);
    let source = line.ok().and_then(v1_source).ok_or(InvalidProxyHeader::Malformed)?;
    Ok(Some(ProxyHeader { len: end + 2, source }))
}

/// Returns the source in what follows the prefix: `Some(None)` if it is UNKNOWN.
fn v1_source(line: &str) -> Option<Option<SocketAddr>> {
    let mut words = line.split(' ');
    let source = match words.next()? {
        "TCP4" => v1_addresses::<Ipv4Addr>(&mut words)?,
        "TCP6" => v1_addresses::<Ipv6Addr>(&mut words)?,
        // "the receiver must ignore anything presented before the CRLF is found" (§2.1)
        "UNKNOWN" => return Some(None),
        _ => return None,
    };
    words.next().is_none().then_some(Some(source))
}

/// Parses two addresses and two ports, and returns the first of each.
fn v1_addresses<'a, A: FromStr + Into<IpAddr>>(
    words: &mut impl Iterator<Item = &'a str>,
) -> Option<SocketAddr> {
    let [source, _] = [words.next()?.parse::<A>().ok()?, words.next()?.parse::<A>().ok()?];
    let [port, _] = [v1_port(words.next()?)?, v1_port(words.next()?)?];
    Some(SocketAddr::new(source.into().to_canonical(), port))
}

/// "a decimal integer in the range [0..65535] inclusive, with no leading zeroes" (§2.1)
fn v1_port(word: &str) -> Option<u16> {
    let is_canonical =
        word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| is_canonical)
}

/// §2.2: the signature, the version and the command, the family and the transport, the length of the rest.
fn parse_v2(bytes: &[u8]) -> Result<Option<ProxyHeader>, InvalidProxyHeader> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<V2_FIXED>() else { return Ok(None) };
    let [.., version_and_command, family_and_transport, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if V2_FIXED + length > V2_MAX {
        return Err(InvalidProxyHeader::TooLong);
    }
    let Some(block) = rest.get(..length) else { return Ok(None) };
    let source = match version_and_command {
        // LOCAL: "must discard the protocol block including the family which is ignored".
        0x20 => Some(None),
        0x21 => v2_source(family_and_transport, block),
        _ => None, // "Receivers must drop connections presenting unexpected values here."
    };
    let source = source.ok_or(InvalidProxyHeader::Malformed)?;
    Ok(Some(ProxyHeader { len: V2_FIXED + length, source }))
}

/// Returns the source of a forwarded connection: `Some(None)` if that is no internet address. The extensions (TLVs)
/// after the addresses are skipped.
fn v2_source(family_and_transport: u8, block: &[u8]) -> Option<Option<SocketAddr>> {
    if family_and_transport & 0xf > 2 {
        return None;
    }
    let addr = match family_and_transport >> 4 {
        0 => return Some(None),
        1 => {
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *block.first_chunk()?;
            SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low]))
        }
        2 => {
            let source: [u8; 16] = *block.first_chunk()?;
            let [high, low, _, _] = *block.get(32..)?.first_chunk()?;
            let addr = Ipv6Addr::from(source).to_canonical();
            SocketAddr::new(addr, u16::from_be_bytes([high, low]))
        }
        // Two paths of Unix sockets, of 108 bytes each.
        3 if block.len() >= 216 => return Some(None),
        _ => return None,
    };
    Some(Some(addr))
}

impl fmt::Display for InvalidProxyHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self {
            Self::Missing => "no header of the PROXY protocol",
            Self::Malformed => "malformed header of the PROXY protocol",
            Self::TooLong => "header of the PROXY protocol too long",
        };
        write!(
            f,
            "{problem} from a trusted proxy; expected version 1 (at most {V1_MAX} bytes) or 2 (at most {V2_MAX} bytes) before the request"
        )
    }
}

impl Error for InvalidProxyHeader {}

#[cfg(test)]
mod tests {
    use super::{InvalidProxyHeader, ProxyHeader, V1_PREFIX, V2_SIGNATURE, parse};

    /// Returns a header of version 2.
    fn v2(version_and_command: u8, family_and_transport: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        let fixed = [version_and_command, family_and_transport, length[0], length[1]];
        [V2_SIGNATURE, &fixed, block].concat()
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 127, 0, 0, 1, 0xdc, 4, 1, 0xbb];

    fn ipv6() -> Vec<u8> {
        let addr = |last| [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[last]].concat();
        [&addr(1)[..], &addr(2), &IPV4[8..]].concat()
    }

    /// Asserts the verdict on bytes that arrive whole, with more behind them, and cut at every position.
    #[track_caller]
    fn verdict(bytes: &[u8], expected: Result<Option<&str>, InvalidProxyHeader>) {
        let len = bytes.len();
        let expected = expected.map(|source| {
            Some(ProxyHeader { len, source: source.map(|source| source.parse().unwrap()) })
        });
        assert_eq!(parse(bytes), expected, "{}", bytes.escape_ascii());
        assert_eq!(parse(&[bytes, b"GET / HTTP/1.1\r\n\r\n"].concat()), expected);
        for end in 0..len {
            let so_far = parse(&bytes[..end]);
            assert!(so_far == Ok(None) || so_far == expected, "{so_far:?} after {end} bytes");
            assert!(so_far.is_err() || so_far == Ok(None), "{so_far:?} after {end} bytes");
        }
    }

    #[test]
    fn a_valid_header_names_the_source() {
        for (line, source) in [
            ("PROXY TCP4 192.0.2.1 127.0.0.1 56324 443\r\n", Some("192.0.2.1:56324")),
            ("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", Some("0.0.0.0:0")),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", Some("[2001:db8::1]:56324")),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", Some("192.0.2.1:1")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN whatever 1 2\0\u{e9}\r\n", None),
        ] {
            verdict(line.as_bytes(), Ok(source));
        }
        let addr = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let longest = format!("PROXY UNKNOWN {addr} {addr} 65535 65535\r\n");
        assert_eq!(longest.len(), 107);
        verdict(longest.as_bytes(), Ok(None));

        for transport in 0..=2 {
            verdict(&v2(0x21, 0x10 | transport, &IPV4), Ok(Some("192.0.2.1:56324")));
            verdict(&v2(0x21, 0x20 | transport, &ipv6()), Ok(Some("[2001:db8::1]:56324")));
            verdict(&v2(0x21, 0x30 | transport, &[b'/'; 216]), Ok(None));
            verdict(&v2(0x21, transport, b""), Ok(None));
        }
        // Extensions are skipped, valid or not.
        let extended = [&IPV4[..], &[0xee; 508]].concat();
        assert_eq!(v2(0x21, 0x11, &extended).len(), 536);
        verdict(&v2(0x21, 0x11, &extended), Ok(Some("192.0.2.1:56324")));
        // LOCAL: whatever the family says, and whatever follows.
        verdict(&v2(0x20, 0x11, b""), Ok(None));
        verdict(&v2(0x20, 0xff, b"?"), Ok(None));
    }

    #[test]
    fn an_invalid_header_is_refused() {
        for line in [
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP5 192.0.2.1 127.0.0.1 1 2\r\n",
            "PROXY UDP4 192.0.2.1 127.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 127.0.0.1 1\r\n",
            "PROXY TCP4 192.0.2.1 127.0.0.1 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1 127.0.0.1 1 2 \r\n",
            "PROXY TCP4  192.0.2.1 127.0.0.1 1 2\r\n",
            "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 127.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 localhost 1 2\r\n",
            "PROXY TCP4 192.0.2.01 127.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 127.0.0.1 01 2\r\n",
            "PROXY TCP4 192.0.2.1 127.0.0.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 127.0.0.1 65536 2\r\n",
            "PROXY TCP4 192.0.2.1 127.0.0.1 1 \r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY unknown\r\n",
            "PROXY TCP4 192.0.2.1 127.0.0.1 1 2\n\r\n",
            "PROXY TCP4\t192.0.2.1 127.0.0.1 1 2\r\n",
        ] {
            verdict(line.as_bytes(), Err(InvalidProxyHeader::Malformed));
        }
        verdict(b"PROXY UNKNOWN \xff\r\n", Err(InvalidProxyHeader::Malformed));
        for bytes in ["GET / HTTP/1.1\r\n", "PROXYS", "proxy ", "\r\n\r\nGET", "\x16\x03\x01"] {
            verdict(bytes.as_bytes(), Err(InvalidProxyHeader::Missing));
        }
        let long = |len: usize| [V1_PREFIX, b"UNKNOWN ", &vec![b'x'; len - 16], b"\r\n"].concat();
        verdict(&long(107), Ok(None));
        verdict(&long(108), Err(InvalidProxyHeader::TooLong));

        for (version_and_command, family_and_transport, len) in [
            (0x11, 0x11, 12),
            (0x31, 0x11, 12),
            (0x22, 0x11, 12),
            (0x2f, 0x11, 12),
            (0x21, 0x13, 12),
            (0x21, 0x03, 12),
            (0x21, 0x41, 216),
            (0x21, 0x11, 11),
            (0x21, 0x21, 35),
            (0x21, 0x31, 215),
        ] {
            let header = v2(version_and_command, family_and_transport, &vec![1; len]);
            verdict(&header, Err(InvalidProxyHeader::Malformed));
        }
        verdict(&v2(0x21, 0x11, &[1; 521]), Err(InvalidProxyHeader::TooLong));
        verdict(&v2(0x20, 0x00, &[1; 521]), Err(InvalidProxyHeader::TooLong));
    }
}
