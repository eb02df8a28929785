//! [`ResponseHeaders`]: headers that the application adds to the responses to upgrade requests.

use prism_core::{Accept, InvalidHeader, Reply};

/// Headers that are added to the responses to upgrade requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseHeaders {
    /// The headers of a response that opens a connection.
    accept: Accept,
    /// The same headers, for refusals.
    fields: Vec<(Box<str>, Box<str>)>,
}

impl ResponseHeaders {
    /// Adds a header.
    pub(crate) fn push(&mut self, name: &str, value: &str) -> Result<(), InvalidHeader> {
        self.accept = std::mem::take(&mut self.accept).header(name, value)?;
        self.fields.push((name.into(), value.into()));
        Ok(())
    }

    /// Adds all headers of another set.
    pub(crate) fn extend(&mut self, other: &Self) {
        for (name, value) in &other.fields {
            self.push(name, value).expect("the headers of a set are valid");
        }
    }

    /// Returns the headers of a response that opens a connection.
    pub(crate) const fn accept(&self) -> &Accept {
        &self.accept
    }

    /// Adds the headers to a refusal.
    pub(crate) fn add_to(&self, refusal: Reply) -> Reply {
        let valid = "a reply takes the same headers";
        self.fields
            .iter()
            .fold(refusal, |reply, (name, value)| reply.header(name, value).expect(valid))
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use prism_core::{InvalidHeader, Reply};

    use super::ResponseHeaders;

    #[test]
    fn what_is_valid_in_a_101_is_valid_in_a_refusal() {
        let mut headers = ResponseHeaders::default();
        for (name, value) in
            [("X-A", "1"), ("Content-Type", "text/html"), ("Set-Cookie", "a=\"b\"")]
        {
            headers.push(name, value).expect(name);
        }
        let mut all = ResponseHeaders::default();
        all.extend(&headers);
        let mut out = BytesMut::new();
        all.add_to(Reply::text(401, "no")).write(&mut out, false);
        let reply = String::from_utf8(out.to_vec()).unwrap();
        assert!(reply.contains("\r\nX-A: 1\r\n") && reply.contains("\r\nSet-Cookie: a=\"b\"\r\n"));
        assert_eq!(reply.matches("Content-Type").count(), 1, "{reply}");
        for (name, value, error) in [
            ("X A", "1", InvalidHeader::Name),
            ("Upgrade", "h2c", InvalidHeader::Reserved),
            ("X-A", "1\r\nB: 2", InvalidHeader::Value),
        ] {
            assert_eq!(headers.push(name, value), Err(error), "{name}");
        }
    }
}
