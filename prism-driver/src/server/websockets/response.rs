//! Responses of the core in the types of the crate `http`.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use prism_core::{Reply, ResponseHead};

/// Converts the head of a response.
pub(super) fn response(head: &ResponseHead) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status()).expect("from 100 to 599");
    for (name, value) in head.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a token");
        let value = HeaderValue::from_bytes(value).expect("without control characters");
        response.headers_mut().append(name, value);
    }
    response
}

/// Converts a reply.
pub(super) fn refusal(reply: &Reply) -> Response<Bytes> {
    response(&reply.response_head()).map(|()| reply.content().clone())
}
