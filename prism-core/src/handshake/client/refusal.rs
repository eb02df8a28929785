//! [`Refusal`]: a response with a status other than 101, while its body arrives.

use crate::handshake::{
    client::{
        answer::{Found, MAX_BODY},
        response::Response,
    },
    http::body_length::BodyLength,
};

/// How much of a chunked body is awaited, in bytes, framing included.
const MAX_CHUNKED_BODY: usize = 2 * MAX_BODY;

/// A response with a status other than 101, whose head is complete.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    head: usize,
    length: BodyLength,
}

impl Refusal {
    pub(crate) fn new(response: &Response<'_>, head: usize) -> Self {
        Self {
            status: response.status(),
            head,
            length: BodyLength::of(response.status(), response.headers()),
        }
    }

    /// Returns the refusal once its body is complete, or as long as is kept of it.
    pub(crate) fn find_end(&mut self, unparsed: &[u8], eof: bool) -> Option<Found> {
        let Self { status, head, ref mut length } = *self;
        let arrived = unparsed.get(head..).unwrap_or_default();
        let limit = match length {
            BodyLength::Known(length) => usize::try_from(*length).unwrap_or(MAX_BODY).min(MAX_BODY),
            BodyLength::UntilEof => MAX_BODY,
            BodyLength::Chunked(_) => MAX_CHUNKED_BODY,
        };
        let arrived = &arrived[..arrived.len().min(limit)];
        let chunked = match length {
            BodyLength::Chunked(chunks) => Some(chunks.have_ended(arrived, MAX_BODY)),
            _ => None,
        };
        let is_over = arrived.len() == limit || chunked == Some(true) || eof;
        let (body, chunked) = (arrived.len(), chunked.is_some());
        is_over.then_some(Found::Refused { status, head, body, chunked })
    }
}
