//! [`BasicCredentials`]: a user name and a password, as they are sent to an HTTP proxy.

use alloc::{format, string::String};
use core::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::handshake::client::request::InvalidRequest;

/// A user name and a password for an HTTP proxy, encoded as the scheme `Basic` requires (RFC 7617).
///
/// They are encoded, not encrypted: anyone who sees the request can read them. `Debug` does not show
/// them.
#[derive(Clone)]
pub struct BasicCredentials {
    /// In base64.
    encoded: String,
}

impl BasicCredentials {
    /// Encodes a user name and a password, which is empty if there is none.
    ///
    /// # Errors
    /// [`InvalidRequest::Credentials`] if the user name contains a colon, or if either contains a
    /// control character (RFC 7617 §2).
    pub fn new(user: &str, password: &str) -> Result<Self, InvalidRequest> {
        let has_control = |text: &str| text.chars().any(char::is_control);
        if user.contains(':') || has_control(user) || has_control(password) {
            return Err(InvalidRequest::Credentials);
        }
        Ok(Self { encoded: STANDARD.encode(format!("{user}:{password}")) })
    }

    pub(crate) const fn encoded(&self) -> &str {
        self.encoded.as_str()
    }
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicCredentials").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::{BasicCredentials, InvalidRequest};

    /// The examples of RFC 7617 §2 and §2.1.
    #[test]
    fn credentials_are_encoded_in_base64() {
        for (user, password, encoded) in [
            ("Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("test", "123£", "dGVzdDoxMjPCow=="),
            ("a", "b:c", "YTpiOmM="),
            ("", "", "Og=="),
        ] {
            assert_eq!(BasicCredentials::new(user, password).unwrap().encoded(), encoded);
        }
    }

    #[test]
    fn what_the_scheme_cannot_express_is_refused() {
        for (user, password) in [("a:b", "c"), ("a\n", "b"), ("a", "b\0"), ("a", "\u{85}")] {
            let outcome = BasicCredentials::new(user, password).map(drop);
            assert_eq!(outcome, Err(InvalidRequest::Credentials), "{user:?} {password:?}");
        }
    }

    #[test]
    fn debug_output_shows_neither_of_them() {
        let credentials = BasicCredentials::new("Aladdin", "open sesame").unwrap();
        assert_eq!(format!("{credentials:?}"), "BasicCredentials { .. }");
    }
}
