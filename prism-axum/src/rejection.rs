//! [`WebSocketUpgradeRejection`]: why a request is not upgraded.

use std::{error::Error, fmt};

use axum::{
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;

/// The response to a request that is not upgraded: 400, 403, 405, 426, 429, 431, 500, 501, 503 or 505, or that of the
/// [authorization](crate::WebSocketsBuilder::authorize).
///
/// If a parameter of the route is not UTF-8, it is the 400 of axum, which is in no counter and has none of the
/// [headers](crate::WebSocketsBuilder::header) that Prism's refusals have.
#[derive(Debug)]
pub struct WebSocketUpgradeRejection {
    response: Response<Bytes>,
}

impl WebSocketUpgradeRejection {
    pub(crate) const fn new(response: Response<Bytes>) -> Self {
        Self { response }
    }

    /// Returns the status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Returns the text of the response, which says what was wrong with the request.
    #[must_use]
    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(self.response.body()).into_owned()
    }
}

impl IntoResponse for WebSocketUpgradeRejection {
    fn into_response(self) -> Response {
        self.response.map(Body::from)
    }
}

impl fmt::Display for WebSocketUpgradeRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status(), self.body_text().trim_end())
    }
}

impl Error for WebSocketUpgradeRejection {}
