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

    /// Adds the headers to a refusal, except those that it has itself.
    pub(crate) fn add_to(&self, refusal: Reply) -> Reply {
        let valid = "a reply takes the same headers";
        let own = refusal.clone(); // which copies only its headers
        self.fields
            .iter()
            .filter(|(name, _)| !own.has_header(name))
            .fold(refusal, |reply, (name, value)| reply.header(name, value).expect(valid))
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use prism_core::{InvalidHeader, Reply};

    use super::ResponseHeaders;

    #[test]
    fn a_refusal_keeps_its_own_headers() {
        let mut headers = ResponseHeaders::default();
        for (name, value) in [
            ("content-type", "text/html"),
            ("cache-control", "max-age=600"),
            ("X-A", "server"),
            ("X-B", "1"),
            ("X-B", "2"),
        ] {
            headers.push(name, value).expect(name);
        }
        let written = |refusal| {
            let mut out = BytesMut::new();
            headers.add_to(refusal).write(&mut out, false);
            String::from_utf8(out.to_vec()).unwrap().to_lowercase()
        };
        let of_text = written(Reply::text(401, "no").header("x-a", "own").unwrap());
        for line in
            ["content-type: text/plain; charset=utf-8", "cache-control: no-store", "x-a: own"]
        {
            assert!(of_text.contains(&format!("\r\n{line}\r\n")), "{line}: {of_text}");
        }
        for name in ["content-type", "cache-control", "x-a"] {
            assert_eq!(of_text.matches(&format!("\r\n{name}:")).count(), 1, "{name}: {of_text}");
        }
        assert_eq!(of_text.matches("x-b").count(), 2, "{of_text}");
        // A redirection without content has neither of its own.
        let redirection = written(Reply::new(303));
        for line in ["content-type: text/html", "cache-control: max-age=600", "x-a: server"] {
            assert!(redirection.contains(&format!("\r\n{line}\r\n")), "{line}: {redirection}");
        }
    }

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
        for (name, value, error) in [
            ("X A", "1", InvalidHeader::Name),
            ("Upgrade", "h2c", InvalidHeader::Reserved),
            ("X-A", "1\r\nB: 2", InvalidHeader::Value),
        ] {
            assert_eq!(headers.push(name, value), Err(error), "{name}");
        }
    }
}
