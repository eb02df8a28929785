//! [`SessionError`]: why there is no connection to Redis, or none any more.

use std::{fmt, io};

use crate::resp::Malformed;

/// Why a session could not begin, or has ended. Its text is for a log, and has no password in it.
#[derive(Debug)]
pub(crate) enum SessionError {
    /// No connection could be opened.
    Unreachable(io::Error),
    #[cfg(feature = "tls")]
    Tls(prism_driver::ConnectError),
    /// TLS is configured, but the URL does not ask for it.
    #[cfg(feature = "tls")]
    NotTls,
    /// Credentials for Sentinels are configured, but the URL names none.
    NoSentinels,
    /// No Sentinel says where the master with this name is, for these reasons.
    NoMaster {
        master: String,
        reasons: Vec<String>,
    },
    /// A Sentinel does not know the master.
    UnknownMaster,
    /// A Sentinel says that the master is at this host and port, which is no address.
    InvalidMaster(String, String),
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
    /// The server belongs to no Redis Cluster. Others would not get what is published there.
    NotCluster,
    /// Redis has closed one of the connections.
    Closed(Option<Purpose>),
    Io(Option<Purpose>, io::Error),
    Malformed(Malformed),
    /// A reply to something else, or a confirmation that was not asked for.
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

/// How many bytes of a password are not shown. Fewer may be part of the text by chance.
const PART: usize = 8;

impl SessionError {
    /// Creates the error for a command that Redis refuses. `secret` is not shown, should Redis repeat it.
    pub(crate) fn refused(command: &'static str, why: &[u8], secret: Option<&str>) -> Self {
        // Older versions repeat the arguments of a command that they do not know.
        if command == "HELLO" && why.starts_with(b"ERR unknown command") {
            return Self::TooOld;
        }
        let has_secret =
            |text: &[u8]| secret.is_some_and(|secret| contains_part(text, secret.as_bytes()));
        let code = why.split(|byte| *byte == b' ').next().unwrap_or_default();
        let why = match (has_secret(why), has_secret(code)) {
            (false, _) => shown(why),
            (true, false) => shown(code) + ", for a reason that contains the password",
            (true, true) => "for a reason that contains the password".to_owned(),
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

/// Returns whether what is shown of a text may have a part of the secret in it. Redis shortens what it repeats, and the
/// text is shortened here.
fn contains_part(text: &[u8], secret: &[u8]) -> bool {
    let shown = &text[..text.len().min(MAX_SHOWN * 4 + PART)]; // a character has up to 4 bytes
    let part = secret.len().clamp(1, PART); // an empty secret has no windows
    secret.windows(part).any(|part| shown.windows(part.len()).any(|found| found == part))
}

/// Returns what Redis says as a line of text.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(MAX_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "Redis cannot be reached: {error}"),
            #[cfg(feature = "tls")]
            Self::Tls(error) => fmt::Display::fmt(error, f),
            #[cfg(feature = "tls")]
            Self::NotTls => f.write_str(
                "Redis::tls is set, but the URL begins with \"redis://\"; expected \"rediss://\"",
            ),
            Self::NoSentinels => f.write_str(
                "Redis::sentinel_login is set, but the URL names no Sentinels; expected \"redis+sentinel://\"",
            ),
            Self::NoMaster { master, reasons } => {
                let reasons = reasons.join("; ");
                write!(f, "no Sentinel says where the master {master:?} is: {reasons}")
            }
            Self::UnknownMaster => f.write_str("it knows no master with this name"),
            Self::InvalidMaster(host, port) => {
                write!(f, "it says that the master is at {host:?}, port {port:?}")
            }
            Self::TimedOut => f.write_str("Redis did not answer in time"),
            Self::TooOld => f.write_str(
                "the server does not know HELLO; expected Redis 6.2.2 or later, or Valkey",
            ),
            Self::Refused { command, why } => {
                write!(f, "Redis refused {command}: {why}")?;
                // Older versions look at the rights of the user `default` first.
                if *command == "HELLO" && why.starts_with("NOPERM") {
                    f.write_str(
                        "; expected Redis 6.2.2 or later, or a user `default` that may use HELLO",
                    )?;
                }
                if *command == "SENTINEL" && why.starts_with("ERR unknown command") {
                    f.write_str("; expected a Sentinel")?;
                }
                Ok(())
            }
            Self::NotMaster(role) => {
                write!(f, "the server's role is {role:?}; expected \"master\"")
            }
            Self::NotCluster => f.write_str(
                "the server is not in cluster mode; expected a node of a Redis Cluster, or \"redis://\"",
            ),
            Self::Closed(purpose) => write!(f, "Redis closed the connection{}", which(*purpose)),
            Self::Io(purpose, error) => {
                write!(f, "the connection{} failed: {error}", which(*purpose))
            }
            Self::Malformed(error) => write!(f, "invalid reply from Redis: {error}"),
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

impl From<Malformed> for SessionError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::SessionError;

    #[test]
    fn a_password_that_redis_repeats_is_not_shown() {
        let old =
            b"ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `ann`, `secret`";
        assert!(matches!(
            SessionError::refused("HELLO", old, Some("secret")),
            SessionError::TooOld
        ));
        let refused =
            |secret| SessionError::refused("HELLO", b"ERR no: secret\r\n", secret).to_string();
        assert!(!refused(Some("secret")).contains("secret"));
        assert_eq!(refused(None), "Redis refused HELLO: ERR no: secret  ");
    }

    #[test]
    fn no_part_of_a_long_password_is_shown() {
        let secret: String = ('a'..='z').cycle().take(300).collect();
        for repeated in [&secret[..], &secret[..128], &secret[100..], &secret[..8]] {
            let why = format!("ERR {repeated}");
            let error = SessionError::refused("HELLO", why.as_bytes(), Some(&secret)).to_string();
            assert_eq!(error, "Redis refused HELLO: ERR, for a reason that contains the password");
        }
    }

    #[test]
    fn a_version_that_checks_the_default_user_is_named() {
        let error =
            SessionError::refused("HELLO", b"NOPERM no permissions", Some("secret")).to_string();
        assert!(error.contains("expected Redis 6.2.2 or later"), "{error}");
    }
}
