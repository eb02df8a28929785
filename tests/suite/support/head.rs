//! [`Head`]: the start line and headers of an HTTP message.

/// The head of a request or response.
#[derive(Debug)]
pub(crate) struct Head {
    /// The status of a response; 0 for a request.
    pub(crate) status: u16,
    first_line: String,
    fields: Vec<(String, String)>,
}

impl Head {
    /// Parses a head without its final empty line.
    pub(crate) fn parse(text: &str) -> Self {
        let (first_line, lines) = text.split_once("\r\n").unwrap_or((text, ""));
        let fields = lines.split("\r\n").filter(|line| !line.is_empty()).map(|line| {
            let (name, value) = line.split_once(':').expect("Name: value");
            (name.to_owned(), value.trim().to_owned())
        });
        let status = first_line.strip_prefix("HTTP/1.1 ").map_or(0, |rest| {
            rest.split(' ').next().and_then(|status| status.parse().ok()).expect("a status")
        });
        Self { status, first_line: first_line.to_owned(), fields: fields.collect() }
    }

    /// Returns the start line, such as `GET /path HTTP/1.1`.
    pub(crate) fn first_line(&self) -> &str {
        &self.first_line
    }

    /// Returns the value of a header that must not occur twice.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let first = found.next();
        assert!(found.next().is_none(), "{name} occurs twice: {self:?}");
        first.map(|(_, value)| value.as_str())
    }
}
