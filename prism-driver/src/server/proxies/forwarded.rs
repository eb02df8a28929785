//! Parses `X-Forwarded-For` and `Forwarded` (RFC 7239), line by line.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// An element of a list: the peer of the proxy that appended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hop {
    /// The port is 0 if the proxy does not name it.
    Address(SocketAddr),
    /// The proxy does not know the address, or does not tell (RFC 7239 §6.2, §6.3).
    Hidden,
}

/// An element is neither an address nor hidden, or the list has no such form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Returns the elements of a line of `X-Forwarded-For`, from the right. Empty ones are ignored (RFC 9110 §5.6.1.2).
pub(super) fn x_forwarded_for(line: &[u8]) -> impl Iterator<Item = Result<Hop, Malformed>> {
    let elements = line.rsplit(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    elements.filter(|element| !element.is_empty()).map(node)
}

/// Returns the elements of a line of `Forwarded`, from the right. Such a line can only be read from the left, because
/// of its quotes. So if any element is malformed, the rightmost counts as malformed.
pub(super) fn forwarded(line: &[u8]) -> impl Iterator<Item = Result<Hop, Malformed>> {
    match Cursor(line).elements() {
        Some(hops) => hops.into_iter().rev().map(Ok).collect::<Vec<_>>(),
        None => vec![Err(Malformed)],
    }
    .into_iter()
}

/// Parses a node of RFC 7239 §6. Unlike there, IPv6 addresses do not need brackets, unless there is a port.
fn node(text: &[u8]) -> Result<Hop, Malformed> {
    let text = str::from_utf8(text).map_err(|_| Malformed)?;
    if let Ok(addr) = text.parse::<IpAddr>() {
        return Ok(Hop::Address(SocketAddr::new(addr.to_canonical(), 0)));
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, number)) if !number.ends_with(']') => (name, port(number).ok_or(Malformed)?),
        _ => (text, 0),
    };
    let addr = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(ipv6) => ipv6.parse::<Ipv6Addr>().ok().map(|addr| addr.to_canonical()),
        None if name.eq_ignore_ascii_case("unknown") || is_obfuscated(name) => {
            return Ok(Hop::Hidden);
        }
        None => name.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    };
    addr.map(|addr| Hop::Address(SocketAddr::new(addr, port))).ok_or(Malformed)
}

/// `node-port = port / obfport`, `port = 1*5DIGIT`.
fn port(text: &str) -> Option<u16> {
    if is_obfuscated(text) {
        return Some(0);
    }
    let is_number = matches!(text.len(), 1..=5) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// `obfnode = "_" 1*( ALPHA / DIGIT / "." / "_" / "-")`
fn is_obfuscated(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.strip_prefix('_').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_allowed))
}

/// The rest of a line. It only advances, so that every line takes linear time.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// `Forwarded = 1#forwarded-element`. Empty elements are ignored (RFC 9110 §5.6.1.2).
    fn elements(mut self) -> Option<Vec<Hop>> {
        let mut hops = Vec::new();
        loop {
            hops.extend(self.element()?);
            match self.0 {
                [] => return Some(hops),
                [b',', rest @ ..] => self.0 = rest,
                _ => return None,
            }
        }
    }

    /// `forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )`. Returns `Some(None)` for an empty one. An
    /// element without `for` hides the address.
    fn element(&mut self) -> Option<Option<Hop>> {
        let (mut is_empty, mut found) = (true, None);
        loop {
            self.skip_blanks();
            if !matches!(self.0, [] | [b',' | b';', ..]) {
                let (name, value) = self.pair()?;
                is_empty = false;
                // RFC 7239 §4: "Each parameter MUST NOT occur more than once per field-value".
                if name.eq_ignore_ascii_case(b"for") && found.replace(node(&value).ok()?).is_some()
                {
                    return None;
                }
                self.skip_blanks();
            }
            match self.0 {
                [b';', rest @ ..] => self.0 = rest,
                _ => return Some((!is_empty).then(|| found.unwrap_or(Hop::Hidden))),
            }
        }
    }

    /// `forwarded-pair = token "=" value`, `value = token / quoted-string`. A value without quotes may be any text
    /// without separators: many proxies do not quote `192.0.2.1:80`.
    fn pair(&mut self) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
        let name = self.take_until(|byte| byte == b'=' || is_separator(byte));
        let [b'=', rest @ ..] = self.0 else { return None };
        self.0 = rest;
        let value = match self.0 {
            [b'"', rest @ ..] => {
                self.0 = rest;
                self.quoted()?
            }
            _ => Cow::Borrowed(self.take_until(is_separator)),
        };
        (!name.is_empty()).then_some((name, value))
    }

    /// Parses the rest of a quoted string (RFC 9110 §5.6.4).
    fn quoted(&mut self) -> Option<Cow<'a, [u8]>> {
        let plain = self.take_until(|byte| matches!(byte, b'"' | b'\\'));
        let mut value = Cow::Borrowed(plain);
        loop {
            match self.0 {
                [b'"', rest @ ..] => {
                    self.0 = rest;
                    return Some(value);
                }
                [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                    self.0 = rest;
                    value.to_mut().push(*byte);
                }
                [] => return None,
            }
        }
    }

    fn take_until(&mut self, is_end: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| is_end(byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn skip_blanks(&mut self) {
        self.take_until(|byte| !matches!(byte, b' ' | b'\t'));
    }
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b',' | b';' | b'"' | b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::{Hop, Malformed, forwarded, x_forwarded_for};

    fn hop(addr: &str) -> Result<Hop, Malformed> {
        Ok(match addr {
            "hidden" => Hop::Hidden,
            addr => Hop::Address(addr.parse().unwrap()),
        })
    }

    #[test]
    fn x_forwarded_for_is_read_from_the_right() {
        for (line, expected) in [
            ("192.0.2.1", &["192.0.2.1:0"][..]),
            ("192.0.2.1:4711", &["192.0.2.1:4711"]),
            ("192.0.2.1, 10.0.0.1 ,\t10.0.0.2", &["10.0.0.2:0", "10.0.0.1:0", "192.0.2.1:0"]),
            ("2001:db8::1,[2001:db8::2]", &["[2001:db8::2]:0", "[2001:db8::1]:0"]),
            ("[2001:db8::1]:80", &["[2001:db8::1]:80"]),
            ("2001:db8::80", &["[2001:db8::80]:0"]),
            ("::ffff:192.0.2.1", &["192.0.2.1:0"]),
            ("[::ffff:192.0.2.1]:9", &["192.0.2.1:9"]),
            (" , 192.0.2.1,,", &["192.0.2.1:0"]),
            ("unknown, _hidden, UNKNOWN:80", &["hidden"; 3]),
            ("192.0.2.1:_port", &["192.0.2.1:0"]),
            ("", &[]),
        ] {
            let hops: Vec<_> = x_forwarded_for(line.as_bytes()).collect();
            assert_eq!(hops, expected.iter().map(|addr| hop(addr)).collect::<Vec<_>>(), "{line}");
        }
    }

    #[test]
    fn an_element_that_is_no_address_is_malformed() {
        for bad in [
            "192.0.2",
            "192.0.2.256",
            "192.0.2.01",
            "192.0.2.1:",
            "192.0.2.1:65536",
            "192.0.2.1:+80",
            "192.0.2.1:000080",
            "192.0.2.1 10.0.0.1",
            "[192.0.2.1]",
            "[2001:db8::1",
            "2001:db8::1]",
            "[2001:db8::1]80",
            "[2001:db8::1]:",
            "fe80::1%eth0",
            "[fe80::1%1]:80",
            "localhost",
            "_",
            "_a b",
            "\"192.0.2.1\"",
            "for=192.0.2.1",
            "-",
            "\u{e9}",
            "unknown:",
            "[]",
            ":",
            "[]:80",
        ] {
            let hops: Vec<_> = x_forwarded_for(bad.as_bytes()).collect();
            assert_eq!(hops, [Err(Malformed)], "{bad}");
        }
        assert_eq!(x_forwarded_for(b"\xff").collect::<Vec<_>>(), [Err(Malformed)]);
        // What is further left does not matter to what is further right.
        assert_eq!(x_forwarded_for(b"\xff\", 192.0.2.1").next(), Some(hop("192.0.2.1:0")));
    }

    #[test]
    fn forwarded_is_read_from_the_right() {
        for (line, expected) in [
            // The examples of RFC 7239 §4.
            ("for=\"_gazonk\"", &["hidden"][..]),
            ("For=\"[2001:db8:cafe::17]:4711\"", &["[2001:db8:cafe::17]:4711"]),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", &["192.0.2.60:0"]),
            ("for=192.0.2.43, for=198.51.100.17", &["198.51.100.17:0", "192.0.2.43:0"]),
            // What is seen besides.
            ("for=192.0.2.1:80 ; proto=https", &["192.0.2.1:80"]),
            ("for=unknown", &["hidden"]),
            ("proto=https;host=\"a,b;c\\\"d\"", &["hidden"]),
            ("for=\"192.0.2.\\1\"", &["192.0.2.1:0"]),
            (";;for=192.0.2.1;", &["192.0.2.1:0"]),
            (", for=192.0.2.1,,", &["192.0.2.1:0"]),
            ("host=\"for=6.6.6.6\";for=192.0.2.1", &["192.0.2.1:0"]),
            ("", &[]),
        ] {
            let hops: Vec<_> = forwarded(line.as_bytes()).collect();
            assert_eq!(hops, expected.iter().map(|addr| hop(addr)).collect::<Vec<_>>(), "{line}");
        }
    }

    #[test]
    fn a_line_of_forwarded_is_valid_or_malformed_as_a_whole() {
        for bad in [
            "192.0.2.1",
            "for",
            "for=",
            "=192.0.2.1",
            "for=192.0.2.1;for=192.0.2.2",
            "for=\"192.0.2.1",
            "for=\"192.0.2.1\\",
            "for=\"192.0.2.1\"x",
            "for=192.0.2.1 by=192.0.2.2",
            "for =192.0.2.1",
            "for=localhost",
            "for=6.6.6.6\", for=192.0.2.1",
            "\u{e9}",
            "for=\"\u{e9}\"",
            // A client opens a quote, and a proxy appends an element to the same line.
            "for=\"x, for=192.0.2.1",
            "for=\", for=\"192.0.2.1:80\"",
            "for=\"6.6.6.6, for=\"[2001:db8::1]\"",
        ] {
            let hops: Vec<_> = forwarded(bad.as_bytes()).collect();
            assert_eq!(hops, [Err(Malformed)], "{bad}");
        }
    }

    #[test]
    fn long_lines_take_linear_time() {
        for part in
            ["192.0.2.1,", ",", "\"", "\\", "for=\"", "a=\"\\", "a=b;", "[", ":", "a=\"b\","]
        {
            let line = part.repeat((1 << 20) / part.len());
            x_forwarded_for(line.as_bytes()).for_each(|_| {});
            forwarded(line.as_bytes()).for_each(|_| {});
        }
    }
}
