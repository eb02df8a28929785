//! [`IntoReply`]: a reply, or a future of one.

use core::future::{Ready, ready};

use crate::handshake::server::reply::Reply;

/// A type that becomes a [`Reply`], at once or later: a `Reply`, or a future of one. So a function
/// that makes replies may be plain or async.
///
/// ```
/// # use prism_core::{IntoReply, Reply};
/// async fn answer<R: IntoReply>(page: impl Fn() -> R) -> Reply {
///     page().into_reply().await
/// }
/// let simple = answer(|| Reply::html("hello"));
/// let slow = answer(|| async { Reply::html("after a query") });
/// # use std::{pin::pin, task::{Context, Poll, Waker}};
/// # for polled in [
/// #     pin!(simple).poll(&mut Context::from_waker(Waker::noop())),
/// #     pin!(slow).poll(&mut Context::from_waker(Waker::noop())),
/// # ] {
/// #     assert!(matches!(polled, Poll::Ready(reply) if reply.status() == 200));
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a `Reply` nor a future of one",
    label = "expected a `Reply` or a future of one",
    note = "for text or HTML, return `Reply::text(200, ...)` or `Reply::html(...)`",
    note = "turn an `Err` into a `Reply`, for example with `.unwrap_or_else(|_| Reply::new(500))`"
)]
pub trait IntoReply {
    /// The future of the reply.
    type Future: Future<Output = Reply>;

    /// Converts into a future of the reply.
    fn into_reply(self) -> Self::Future;
}

impl IntoReply for Reply {
    type Future = Ready<Self>;

    fn into_reply(self) -> Ready<Self> {
        ready(self)
    }
}

#[diagnostic::do_not_recommend]
impl<F: Future<Output = Reply>> IntoReply for F {
    type Future = F;

    fn into_reply(self) -> F {
        self
    }
}
