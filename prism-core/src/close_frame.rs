//! [`CloseFrame`]: a close frame's payload (RFC 6455 §5.5.1).

use crate::{close_code::CloseCode, error::ProtocolError};

/// The longest reason: what a control frame's 125 bytes leave after the code (RFC 6455 §5.5).
const MAX_REASON: usize = 123;

/// The contents of a close frame: a code and a human-readable reason. What is too long to be sent is cut as by
/// [`new`](Self::new).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// The code; [`CloseCode::NO_STATUS`] if the frame was empty.
    pub code: CloseCode,
    /// The reason: at most 123 bytes, often empty.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// Creates a close frame, shortened to what can be sent: a reason of more than 123 bytes is cut
    /// at a character boundary, and a reason without a code is dropped (RFC 6455 §5.5.1).
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

    /// Parses a close frame's payload: either nothing, or a code and a reason in UTF-8.
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
    use super::CloseFrame;
    use crate::{close_code::CloseCode, error::ProtocolError};

    #[test]
    fn a_payload_is_empty_or_a_code_and_a_reason() {
        let parse = CloseFrame::parse;
        assert_eq!(parse(b""), Ok(CloseFrame { code: CloseCode::NO_STATUS, reason: "" }));
        assert_eq!(parse(b"\x03\xe8"), Ok(CloseFrame { code: CloseCode::NORMAL, reason: "" }));
        assert_eq!(parse(b"\x03\xe8bye").map(|frame| frame.reason), Ok("bye"));
        assert_eq!(parse(b"\x03"), Err(ProtocolError::TruncatedCloseCode));
        assert_eq!(parse(b"\x03\xee"), Err(ProtocolError::InvalidCloseCode(1006)));
        assert_eq!(parse(b"\x03\xe8\xff"), Err(ProtocolError::InvalidCloseReason));
    }
}
