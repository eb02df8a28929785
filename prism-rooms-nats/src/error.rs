//! [`SessionError`]: why there is no connection to NATS, or none any more.

use std::{fmt, io};

use prism_driver::ServiceError;

use crate::protocol::Malformed;

/// Why a session could not begin, or has ended. Its text is for a log. It has no password and no token in it: NATS does
/// not repeat them.
#[derive(Debug)]
pub(crate) enum SessionError {
    /// No connection could be opened.
    Unreachable(io::Error),
    #[cfg(feature = "tls")]
    Tls(prism_driver::ConnectError),
    /// TLS is configured, but the URL does not ask for it.
    #[cfg(feature = "tls")]
    NotTls,
    /// The URL asks for TLS, but the server does not offer it.
    #[cfg(feature = "tls")]
    NoTls,
    /// The server insists on TLS, but the URL does not ask for it.
    NeedsTls,
    /// The credentials have a key, but the server has nothing to sign.
    #[cfg(feature = "nkeys")]
    NoNonce,
    /// Opening the connection took too long.
    TimedOut,
    /// The server does not accept something, and said why.
    Refused(String),
    /// What the server says of itself is not valid.
    Info(String),
    /// The server does not take payloads that are long enough.
    PayloadLimit {
        limit: usize,
        expected: usize,
    },
    /// NATS has closed the connection.
    Closed,
    Io(io::Error),
    Malformed(Malformed),
    /// Something valid that should not come now.
    Unexpected(&'static str),
}

/// How much is shown of what a server says.
const MAX_SHOWN: usize = 200;

impl SessionError {
    pub(crate) fn refused(why: &[u8]) -> Self {
        let why = String::from_utf8_lossy(why);
        Self::Refused(shown(why.trim_matches('\'')))
    }

    pub(crate) fn info(error: &serde_json::Error) -> Self {
        Self::Info(shown(&error.to_string()))
    }
}

/// Returns a text as one line of limited length.
fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "NATS cannot be reached: {error}"),
            #[cfg(feature = "tls")]
            Self::Tls(error) => fmt::Display::fmt(error, f),
            #[cfg(feature = "tls")]
            Self::NotTls => f.write_str(
                "Nats::tls is set, but the URL begins with \"nats://\"; expected \"tls://\"",
            ),
            #[cfg(feature = "tls")]
            Self::NoTls => {
                f.write_str("the server does not offer TLS; expected one that does, or \"nats://\"")
            }
            Self::NeedsTls => f.write_str("the server requires TLS; expected \"tls://\""),
            #[cfg(feature = "nkeys")]
            Self::NoNonce => f.write_str(
                "the server has no users with keys; expected one that has, or a user and a password in the URL",
            ),
            Self::TimedOut => f.write_str("NATS did not answer in time"),
            Self::Refused(why) => {
                write!(f, "NATS refused: {why}")?;
                match why.split_once(' ') {
                    Some(("Authorization", _)) => f.write_str(
                        "; expected a user and a password, a token, or a key, that the server knows",
                    ),
                    Some(("Permissions", _)) => f.write_str(
                        "; expected a user that may publish and subscribe to all subjects of the prefix",
                    ),
                    _ => Ok(()),
                }
            }
            Self::Info(why) => write!(f, "invalid INFO from NATS: {why}"),
            Self::PayloadLimit { limit, expected } => {
                write!(f, "the server's max_payload is {limit} bytes; expected at least {expected}")
            }
            Self::Closed => f.write_str("NATS closed the connection"),
            Self::Io(error) => write!(f, "the connection failed: {error}"),
            Self::Malformed(error) => write!(f, "invalid bytes from NATS: {error}"),
            Self::Unexpected(what) => write!(f, "NATS sent {what}, which was not expected"),
        }
    }
}

impl From<ServiceError<Malformed>> for SessionError {
    fn from(error: ServiceError<Malformed>) -> Self {
        match error {
            ServiceError::Closed => Self::Closed,
            ServiceError::Io(error) => Self::Io(error),
            ServiceError::Invalid(error) => Self::Malformed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SessionError;

    #[test]
    fn what_nats_says_is_one_line_of_limited_length() {
        let refused = |why: &[u8]| SessionError::refused(why).to_string();
        assert_eq!(refused(b"'Slow Consumer'"), "NATS refused: Slow Consumer");
        assert_eq!(refused(b"a\x1b\xff"), "NATS refused: a \u{fffd}");
        assert!(refused(&[b'x'; 1000]).len() < 300);
    }

    #[test]
    fn what_users_can_change_is_named() {
        let refused = |why: &[u8]| SessionError::refused(why).to_string();
        assert!(refused(b"'Authorization Violation'").contains("expected a user and a password"));
        let why = b"'Permissions Violation for Publish to \"prism.all\"'";
        assert!(refused(why).contains("to \"prism.all\"; expected a user that may publish"));
    }
}
