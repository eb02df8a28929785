//! [`Hooks`]: the functions of an application that a client calls while it reconnects.

use std::{error::Error, future::ready, pin::Pin, time::Duration};

use crate::{
    client::{Client, reconnect::ended::Ended},
    error::connect::ConnectError,
};

/// What a [`Reconnect`](crate::Reconnect) is about to do, for [`on_retry`](crate::Reconnect::on_retry).
#[derive(Debug)]
#[non_exhaustive]
pub struct Retry<'a> {
    /// The number of the attempt, from 1, since the last connection that [lived](crate::Backoff::stable_after).
    pub attempt: u32,
    /// How long it waits before the attempt.
    pub delay: Duration,
    /// What has ended.
    pub reason: &'a Ended,
    /// How many bytes the connection that has ended had accepted, and had [not written](crate::Connection::unwritten)
    /// in the end: they are lost. Zero after an attempt that failed.
    pub unwritten: u64,
}

/// A client with the settings for one attempt.
pub(super) type Prepared<N> = Pin<Box<dyn Future<Output = Result<Client<N>, Ended>> + Send>>;

pub(super) struct Hooks<N> {
    pub(super) before_each: Box<dyn FnMut(Client<N>) -> Prepared<N> + Send>,
    pub(super) retry_if: Box<dyn FnMut(&Ended) -> bool + Send>,
    pub(super) on_retry: Box<dyn FnMut(&Retry<'_>) + Send>,
    pub(super) on_giving_up: Box<dyn FnMut(&Ended) + Send>,
}

impl<N: Send + 'static> Hooks<N> {
    pub(super) fn new() -> Self {
        Self {
            before_each: Box::new(|client| Box::pin(ready(Ok(client)))),
            retry_if: Box::new(Ended::is_transient),
            on_retry: Box::new(|_| ()),
            on_giving_up: Box::new(|_| ()),
        }
    }
}

/// Returns what has ended if an attempt could not be prepared.
pub(super) fn unprepared(error: impl Into<Box<dyn Error + Send + Sync>>) -> Ended {
    match error.into().downcast::<ConnectError>() {
        Ok(error) => Ended::Attempt(*error),
        Err(error) => Ended::BeforeEach(error),
    }
}
