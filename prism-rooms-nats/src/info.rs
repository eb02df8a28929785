//! What the two ends say first: [`Info`], what a server is and allows, and [`connect`], who this program is.

use serde::Deserialize;
use serde_json::json;

use crate::{error::SessionError, url::Login};

/// The least that a server has to allow: what nodes tell each other about 256 rooms with the longest names fits, and so do
/// the people of a room.
const MIN_PAYLOAD: usize = 512 << 10;

/// What a server says of itself when a connection begins, and may say again later.
#[derive(Deserialize)]
pub(crate) struct Info {
    /// Negative if there is no limit.
    max_payload: i64,
    /// The addresses of all servers of the NATS cluster, if the server names them.
    #[serde(default)]
    pub(crate) connect_urls: Vec<String>,
    /// Whether the server is about to shut down.
    #[serde(default, rename = "ldm")]
    pub(crate) is_lame_duck: bool,
    #[serde(default)]
    pub(crate) tls_required: bool,
    #[cfg(feature = "tls")]
    #[serde(default)]
    tls_available: bool,
}

impl Info {
    /// Parses what a server says. Whether that is enough for a cluster is checked, too.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, SessionError> {
        let info: Self =
            serde_json::from_slice(json).map_err(|error| SessionError::info(&error))?;
        if info.max_payload() < MIN_PAYLOAD {
            return Err(SessionError::PayloadLimit {
                limit: info.max_payload(),
                expected: MIN_PAYLOAD,
            });
        }
        Ok(info)
    }

    /// Returns the length of the longest payload that the server takes.
    pub(crate) fn max_payload(&self) -> usize {
        usize::try_from(self.max_payload).unwrap_or(usize::MAX)
    }

    #[cfg(feature = "tls")]
    pub(crate) const fn offers_tls(&self) -> bool {
        self.tls_required || self.tls_available
    }
}

/// Returns who this program is, and how it wants to be spoken to, in JSON. What it publishes has to come back to it
/// (`echo`): so a node notices when nothing arrives any more.
pub(crate) fn connect(login: Option<&Login>, is_secure: bool) -> String {
    let mut connect = json!({
        "verbose": false,
        "pedantic": false,
        "echo": true,
        "headers": false,
        "protocol": 1, // the server may say more of itself later
        "tls_required": is_secure,
        "name": "prism",
        "lang": "rust",
        "version": env!("CARGO_PKG_VERSION"),
    });
    match login {
        Some(Login::User { user, password }) => {
            connect["user"] = user.as_str().into();
            connect["pass"] = password.as_str().into();
        }
        Some(Login::Token(token)) => connect["auth_token"] = token.as_str().into(),
        None => {}
    }
    connect.to_string()
}

#[cfg(test)]
mod tests {
    use super::{Info, connect};
    use crate::url::Login;

    fn error(json: &str) -> String {
        Info::parse(json.as_bytes()).err().expect(json).to_string()
    }

    #[test]
    fn a_server_says_how_long_payloads_may_be() {
        let max_payload = |json: &str| Info::parse(json.as_bytes()).unwrap().max_payload();
        assert_eq!(max_payload(r#"{"max_payload":1048576,"version":"2.9.10","x":[{}]}"#), 1 << 20);
        assert_eq!(max_payload(r#"{"max_payload":-1}"#), usize::MAX);
    }

    #[test]
    fn a_server_that_takes_short_payloads_only_is_refused() {
        let expected = "the server's max_payload is 65536 bytes; expected at least 524288";
        assert_eq!(error(r#"{"max_payload":65536}"#), expected);
    }

    #[test]
    fn malformed_information_is_refused() {
        for json in ["", "{", "[]", "{}", r#"{"max_payload":"1"}"#, "{\"max_payload\":1e9}"] {
            assert!(error(json).starts_with("invalid INFO from NATS: "), "{}", error(json));
        }
        let long = format!(r#"{{"max_payload":"{}\n"}}"#, "x".repeat(1000));
        assert!(error(&long).len() < 300 && !error(&long).contains('\n'));
        assert!(error(&"[".repeat(1000)).starts_with("invalid INFO"));
    }

    #[test]
    fn credentials_cannot_end_the_line() {
        let (user, password) = ("a\"\r\nPING".to_owned(), "secret".to_owned());
        let connect = |login| connect(Some(&login), false);
        let shown = connect(Login::User { user, password });
        assert!(!shown.contains(['\r', '\n']));
        assert!(shown.contains(r#""user":"a\"\r\nPING""#) && shown.contains(r#""pass":"secret""#));
        assert!(connect(Login::Token("t".to_owned())).contains(r#""auth_token":"t""#));
    }
}
