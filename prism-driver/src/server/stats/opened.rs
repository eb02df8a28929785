//! [`Opened`]: how connections were opened.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The numbers of connections that were opened so far, by the version of HTTP. A [`Server`](crate::Server) speaks
/// HTTP/1.1; requests of the other versions reach [`WebSockets`](crate::WebSockets).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// Connections over HTTP/1.1 (RFC 6455).
    pub over_http1: u64,
    /// Connections over HTTP/2 (RFC 8441).
    pub over_http2: u64,
    /// Connections over HTTP/3 (RFC 9220).
    pub over_http3: u64,
}

/// A version of HTTP over which a connection can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpVersion {
    Http1,
    Http2,
    Http3,
}

#[derive(Debug, Default)]
pub(super) struct OpenedCounters([AtomicU64; HttpVersion::Http3 as usize + 1]);

impl Opened {
    /// Returns the number of connections that were opened.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_version().map(|(_, count)| count).iter().sum()
    }

    /// Returns the number for each version, with its name.
    pub(super) const fn by_version(&self) -> [(&'static str, u64); 3] {
        [("1.1", self.over_http1), ("2", self.over_http2), ("3", self.over_http3)]
    }
}

impl OpenedCounters {
    pub(super) fn add(&self, version: HttpVersion) {
        self.0[version as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn snapshot(&self) -> Opened {
        let [over_http1, over_http2, over_http3] = self.0.each_ref().map(|it| it.load(Relaxed));
        Opened { over_http1, over_http2, over_http3 }
    }
}
