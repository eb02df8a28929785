//! [`CloseCode`]: why a connection is closed (RFC 6455 §7.4).

use core::fmt;

/// A close frame's status code: why the connection is closed (RFC 6455 §7.4).
///
/// It is always a code that may appear in a close frame, or [`NO_STATUS`](Self::NO_STATUS), which
/// stands for a close frame without a code.
///
/// ```
/// # use prism_core::CloseCode;
/// assert_eq!(CloseCode::new(4001).map(u16::from), Some(4001));
/// assert_eq!(CloseCode::new(1006), None); // "abnormal closure" is never sent
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the connection has fulfilled its purpose.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint is going away, such as a server that is shutting down or a browser that
    /// is leaving the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: the endpoint does not accept this kind of data.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: the close frame has no code. Sent as an empty close frame.
    pub const NO_STATUS: Self = Self(1005);
    /// 1007: the data does not match its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message violates the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message is too big.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client needed an extension that the server did not negotiate.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server encountered an unexpected condition.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service is restarting.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway received an invalid response.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// Returns the code if it may appear in a close frame: 1000 to 1003, 1007 to 1014, and 3000
    /// to 4999. Any other is `None`, even 1005, for which there is [`NO_STATUS`](Self::NO_STATUS).
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

#[cfg(test)]
mod tests {
    use super::CloseCode;

    #[test]
    fn exactly_the_codes_of_the_registry_can_be_constructed() {
        for code in 0..=u16::MAX {
            let reserved = matches!(code, 1004..=1006 | 1015);
            let defined = (1000..=1014).contains(&code) && !reserved;
            let free = (3000..5000).contains(&code);
            assert_eq!(CloseCode::new(code).is_some(), defined || free, "{code}");
        }
    }
}
