//! [`Lost`]: why there is no connection to Redis, or none any more.

use std::{error::Error, fmt, io};

use crate::resp::Malformed;

/// Why a session could not begin, or has ended. Its text is for a log, and has no password in it.
#[derive(Debug)]
pub(crate) enum Lost {
    /// No connection could be opened.
    Unreachable(io::Error),
    #[cfg(feature = "tls")]
    Tls(prism_driver::ConnectError),
    /// TLS is configured, but the URL does not ask for it.
    #[cfg(feature = "tls")]
    NotTls,
    /// Opening the connections took too long.
    TimedOut,
    /// There is no such command: the server is too old.
    TooOld,
    /// Redis has refused a command, and said why.
    Refused {
        command: &'static str,
        why: String,
    },
    /// The server has this role.
    NotMaster(String),
    /// Redis has closed one of the connections.
    Closed(Option<Purpose>),
    Io(Option<Purpose>, io::Error),
    Malformed(Malformed),
    /// A reply that was not expected, or a message for somebody else.
    Unexpected(String),
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Publish,
    Subscribe,
}

/// How much is shown of what Redis says.
const MAX_SHOWN: usize = 200;

impl Lost {
    /// Creates the error for a command that Redis refuses. `secret` is not shown, should Redis repeat it.
    pub(crate) fn refused(command: &'static str, why: &[u8], secret: Option<&str>) -> Self {
        // Older versions repeat the arguments of a command that they do not know.
        if command == "HELLO" && why.starts_with(b"ERR unknown command") {
            return Self::TooOld;
        }
        let has =
            |secret: &str| !secret.is_empty() && String::from_utf8_lossy(why).contains(secret);
        let why = match secret {
            Some(secret) if has(secret) => "for a reason that contains the password".to_owned(),
            _ => shown(why),
        };
        Self::Refused { command, why }
    }

    pub(crate) fn not_master(role: &[u8]) -> Self {
        Self::NotMaster(shown(role))
    }

    pub(crate) fn unexpected(what: &[u8]) -> Self {
        Self::Unexpected(shown(what))
    }
}

/// Returns what Redis says as a line of text.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(MAX_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "Redis cannot be reached: {error}"),
            #[cfg(feature = "tls")]
            Self::Tls(error) => fmt::Display::fmt(error, f),
            #[cfg(feature = "tls")]
            Self::NotTls => f.write_str(
                "Redis::tls is set, but the URL begins with \"redis://\"; expected \"rediss://\"",
            ),
            Self::TimedOut => f.write_str("Redis did not answer in time"),
            Self::TooOld => {
                f.write_str("the server does not know HELLO; expected Redis 6 or later, or Valkey")
            }
            Self::Refused { command, why } => write!(f, "Redis refused {command}: {why}"),
            Self::NotMaster(role) => {
                write!(f, "the server's role is {role:?}; expected \"master\"")
            }
            Self::Closed(purpose) => write!(f, "Redis closed the connection{}", which(*purpose)),
            Self::Io(purpose, error) => {
                write!(f, "the connection{} failed: {error}", which(*purpose))
            }
            Self::Malformed(error) => write!(f, "Redis sent what is not understood: {error}"),
            Self::Unexpected(what) => write!(f, "Redis sent {what:?}, which was not expected"),
        }
    }
}

/// Tells the connections apart, if that is known.
const fn which(purpose: Option<Purpose>) -> &'static str {
    match purpose {
        None => "",
        Some(Purpose::Publish) => " that publishes",
        Some(Purpose::Subscribe) => " that listens",
    }
}

impl Error for Lost {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreachable(error) | Self::Io(_, error) => Some(error),
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Malformed> for Lost {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::Lost;

    #[test]
    fn a_password_that_redis_repeats_is_not_shown() {
        let old =
            b"ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `ann`, `secret`";
        assert!(matches!(Lost::refused("HELLO", old, Some("secret")), Lost::TooOld));
        let refused = |secret| Lost::refused("HELLO", b"ERR no: secret\r\n", secret).to_string();
        assert!(!refused(Some("secret")).contains("secret"));
        assert_eq!(refused(None), "Redis refused HELLO: ERR no: secret  ");
    }
}
