//! Close codes, and the close frame's payload (RFC 6455 §5.5.1, §7.4).

use core::fmt;

use crate::error::ProtocolError;

/// The longest reason: what a control frame's 125 bytes leave beside the code (RFC 6455 §5.5).
const MAX_REASON: usize = 123;

/// Why a connection is closed (RFC 6455 §7.4).
///
/// Only codes that may travel in a close frame can be made, and [`NO_STATUS`](Self::NO_STATUS),
/// which stands for a close frame without a code.
///
/// ```
/// use prism_core::CloseCode;
///
/// assert_eq!(CloseCode::new(4001).map(u16::from), Some(4001));
/// assert_eq!(CloseCode::new(1006), None); // "abnormal": never on the wire
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint goes away: a server shuts down, a browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data the endpoint does not accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: the close frame had no code. Sent as an empty close frame.
    pub const NO_STATUS: Self = Self(1005);
    /// 1007: the data does not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message breaks the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message is too big.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client needed an extension that the server did not negotiate.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server met an unexpected condition.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got a bad answer.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code, if it may travel in a close frame: 1000 to 1003, 1007 to 1014, 3000 to 4999.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What a close frame says: a code, and a reason for people to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// The code; [`CloseCode::NO_STATUS`] where the frame was empty.
    pub code: CloseCode,
    /// The reason: at most 123 bytes, often empty.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// Returns the frame that says as much of this as can be sent. A reason of more than 123 bytes is
    /// cut at the end of a character; one without a code is left out (RFC 6455 §5.5.1).
    ///
    /// ```
    /// use prism_core::{CloseCode, CloseFrame};
    ///
    /// let frame = CloseFrame::new(CloseCode::NORMAL, "done");
    /// assert_eq!((frame.code, frame.reason), (CloseCode::NORMAL, "done"));
    /// assert_eq!(CloseFrame::new(CloseCode::NORMAL, &"é".repeat(100)).reason.len(), 122);
    /// assert_eq!(CloseFrame::new(CloseCode::NO_STATUS, "why").reason, "");
    /// ```
    #[must_use]
    pub fn new(code: CloseCode, reason: &'a str) -> Self {
        let most = if code == CloseCode::NO_STATUS { 0 } else { MAX_REASON };
        Self { code, reason: &reason[..reason.floor_char_boundary(most)] }
    }

    /// Reads a close frame's payload: nothing, or a code and a reason in UTF-8.
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, ProtocolError> {
        match payload {
            [] => Ok(Self { code: CloseCode::NO_STATUS, reason: "" }),
            [_] => Err(ProtocolError::TruncatedCloseCode),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                let code = CloseCode::new(code).ok_or(ProtocolError::InvalidCloseCode(code))?;
                let reason =
                    core::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidCloseReason)?;
                Ok(Self { code, reason })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CloseCode, CloseFrame};
    use crate::error::ProtocolError;

    #[test]
    fn the_codes_that_may_travel_are_exactly_these() {
        for code in 0..=u16::MAX {
            let reserved = matches!(code, 1004..=1006 | 1015);
            let defined = (1000..=1014).contains(&code) && !reserved;
            let free = (3000..5000).contains(&code);
            assert_eq!(CloseCode::new(code).is_some(), defined || free, "{code}");
        }
    }

    #[test]
    fn a_payload_is_nothing_or_a_code_and_a_reason() {
        let parse = CloseFrame::parse;
        assert_eq!(parse(b""), Ok(CloseFrame { code: CloseCode::NO_STATUS, reason: "" }));
        assert_eq!(parse(b"\x03\xe8"), Ok(CloseFrame { code: CloseCode::NORMAL, reason: "" }));
        assert_eq!(parse(b"\x03\xe8bye").map(|frame| frame.reason), Ok("bye"));
        assert_eq!(parse(b"\x03"), Err(ProtocolError::TruncatedCloseCode));
        assert_eq!(parse(b"\x03\xee"), Err(ProtocolError::InvalidCloseCode(1006)));
        assert_eq!(parse(b"\x03\xe8\xff"), Err(ProtocolError::InvalidCloseReason));
    }
}
