//! What the two ends say first: [`Info`], what a server is and allows, and [`connect`], who this program is.

use serde::Deserialize;
use serde_json::json;

use crate::{error::SessionError, url::Login};

/// The least that a server has to allow: what nodes tell each other about 256 rooms with the longest names fits, and so
/// do the people of a room.
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
    /// What a user has to sign, if the server has users that do.
    #[cfg(feature = "nkeys")]
    #[serde(default)]
    nonce: Option<String>,
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
#[cfg_attr(not(feature = "nkeys"), expect(unused_variables, reason = "nothing is signed"))]
pub(crate) fn connect(
    login: Option<&Login>,
    info: &Info,
    is_secure: bool,
) -> Result<String, SessionError> {
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
        #[cfg(feature = "nkeys")]
        Some(Login::Key(credentials)) => {
            let nonce = info.nonce.as_deref().ok_or(SessionError::NoNonce)?;
            connect["sig"] = credentials.sign(nonce).into();
            match &credentials.jwt {
                Some(jwt) => connect["jwt"] = jwt.as_str().into(),
                None => connect["nkey"] = credentials.public_key().into(),
            }
        }
        None => {}
    }
    Ok(connect.to_string())
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
        let info = Info::parse(br#"{"max_payload":-1}"#).unwrap();
        let connect = |login| connect(Some(&login), &info, false).unwrap();
        let shown = connect(Login::User { user, password });
        assert!(!shown.contains(['\r', '\n']));
        assert!(shown.contains(r#""user":"a\"\r\nPING""#) && shown.contains(r#""pass":"secret""#));
        assert!(connect(Login::Token("t".to_owned())).contains(r#""auth_token":"t""#));
    }

    #[cfg(feature = "nkeys")]
    #[test]
    fn a_key_signs_what_the_server_sends() {
        use crate::credentials::Credentials;

        const SEED: &str = "SUAEZTIITMUP7FW2TW3MGRXMCFHA6W4KGGPTLK5GETNIZ5XNJ64KN63OVI";
        let file = format!(
            "-----BEGIN NATS USER JWT-----\neyJ0.eyJq.c2ln\n------END NATS USER JWT------\n\
             -----BEGIN USER NKEY SEED-----\n{SEED}\n------END USER NKEY SEED------\n"
        );
        let connect = |text: &str, info: &str| {
            let login = Login::Key(Credentials::parse(text).unwrap());
            connect(Some(&login), &Info::parse(info.as_bytes()).unwrap(), false)
        };
        let with_nonce = r#"{"max_payload":-1,"nonce":"r"}"#;
        let by_key = connect(SEED, with_nonce).unwrap();
        assert!(by_key.contains(r#""nkey":"UA6UAF"#) && by_key.contains(r#""sig":"kqAJqfDU"#));
        let by_jwt = connect(&file, with_nonce).unwrap();
        assert!(
            by_jwt.contains(r#""jwt":"eyJ0.eyJq.c2ln""#) && by_jwt.contains(r#""sig":"kqAJqfDU"#)
        );
        for connect in [by_key, by_jwt] {
            assert!(!connect.contains("SUAEZT"));
        }
        let error = connect(SEED, r#"{"max_payload":-1}"#).unwrap_err().to_string();
        assert!(error.contains("expected one that has"), "{error}");
    }
}
