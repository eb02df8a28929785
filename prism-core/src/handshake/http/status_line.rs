//! The first line of a response (RFC 9112 §4).

use crate::handshake::error::HandshakeError;

/// How much of the line is checked: `HTTP/1.1 101`, and what follows. The phrase may be anything.
const LENGTH: usize = "HTTP/1.1 101 ".len();

/// Parses the status code at the start of a response. `None` means that more bytes are needed.
///
/// An error is returned with the first wrong byte: a server that speaks another protocol, or
/// another version of HTTP, need not be waited for.
pub(crate) fn parse_status(bytes: &[u8]) -> Result<Option<u16>, HandshakeError> {
    let start = &bytes[..bytes.len().min(LENGTH)];
    for (at, &byte) in start.iter().enumerate() {
        if !is_expected(at, byte) {
            return error_at(at, byte);
        }
        if at == 7 && start[5] != b'1' {
            return Err(HandshakeError::UnsupportedHttpVersion);
        }
    }
    if start.len() < LENGTH {
        return Ok(None);
    }
    let status = start[9..12].iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    // RFC 9110 §15.2: "HTTP/1.0 did not define any 1xx status codes". Otherwise the minor version
    // makes no difference (RFC 9110 §2.5).
    if status == 101 && start[7] == b'0' {
        return Err(HandshakeError::UnsupportedHttpVersion);
    }
    Ok(Some(status))
}

/// `status-line = HTTP-version SP status-code SP [ reason-phrase ]`
fn is_expected(at: usize, byte: u8) -> bool {
    match at {
        0..=4 => byte == b"HTTP/"[at],
        6 => byte == b'.',
        8 => byte == b' ',
        // RFC 9110 §15: "All valid status codes are within the range of 100 to 599". Higher ones
        // count as errors of the server.
        9 => matches!(byte, b'1'..=b'9'),
        // RFC 9112 §4 requires the space even without a phrase, but not every server sends it. A bare LF is
        // for the reader of the head to refuse.
        12 => matches!(byte, b' ' | b'\r' | b'\n'),
        _ => byte.is_ascii_digit(),
    }
}

/// Returns the error of a wrong byte. Control characters and bare line endings are left to
/// [`HeadReader`](super::head::HeadReader), which has more precise errors.
const fn error_at(at: usize, byte: u8) -> Result<Option<u16>, HandshakeError> {
    match byte {
        _ if at < 5 => Err(HandshakeError::NotHttp),
        b'\t' | b'\r' | b' '..=b'~' | 0x80.. => Err(HandshakeError::InvalidStatusLine),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        HandshakeError::{self, *},
        parse_status,
    };

    fn status(line: &str) -> Result<Option<u16>, HandshakeError> {
        parse_status(line.as_bytes())
    }

    #[test]
    fn any_status_is_allowed_except_101_in_http_1_0() {
        for minor in 0..=9 {
            for code in [100, 200, 401, 503, 599, 999] {
                assert_eq!(status(&alloc::format!("HTTP/1.{minor} {code} ")), Ok(Some(code)));
            }
            let expected = if minor == 0 { Err(UnsupportedHttpVersion) } else { Ok(Some(101)) };
            assert_eq!(status(&alloc::format!("HTTP/1.{minor} 101\r")), expected);
        }
    }

    /// Each line, the position of its first wrong byte, and the error.
    #[test]
    fn an_error_shows_with_the_first_wrong_byte() {
        for (line, at, error) in [
            ("SSH-2.0-OpenSSH", 0, NotHttp),
            ("HTTX", 3, NotHttp),
            ("\r\nHTTP/1.1 101 ", 0, NotHttp),
            ("HTTP/2.0 200 OK", 7, UnsupportedHttpVersion),
            ("HTTP/0.9 200 OK", 7, UnsupportedHttpVersion),
            ("HTTP/x.1 200 OK", 5, InvalidStatusLine),
            ("HTTP/2 200 OK", 6, InvalidStatusLine),
            ("HTTP/1.10 200 OK", 8, InvalidStatusLine),
            ("HTTP/1.1\r\n", 8, InvalidStatusLine),
            ("HTTP/1.1\t101 ", 8, InvalidStatusLine),
            ("HTTP/1.1  101 ", 9, InvalidStatusLine),
            ("HTTP/1.1 099 ", 9, InvalidStatusLine),
            ("HTTP/1.1 10 OK", 11, InvalidStatusLine),
            ("HTTP/1.1 1010 ", 12, InvalidStatusLine),
            ("HTTP/1.1 101\u{e9}", 12, InvalidStatusLine),
            ("HTTP/1.0 101 Switching", 12, UnsupportedHttpVersion),
        ] {
            for end in 0..=line.len() {
                let Some(start) = line.get(..end) else { continue };
                let expected = if end > at { Err(error) } else { Ok(None) };
                assert_eq!(status(start), expected, "{start:?}");
            }
        }
    }

    #[test]
    fn the_status_counts_whatever_ends_its_line() {
        for line in ["HTTP/1.1 401\r", "HTTP/1.1 401\n", "HTTP/1.1 401 "] {
            assert_eq!(status(line), Ok(Some(401)), "{line:?}");
        }
    }

    #[test]
    fn control_characters_are_left_to_the_head_reader() {
        for line in ["HTTP/1.1\n", "HTTP/1.1 1\x0001 ", "HTTP/1.\x7f 101 "] {
            assert_eq!(status(line), Ok(None), "{line:?}");
        }
    }
}
