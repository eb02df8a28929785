//! [`serve`]: a session of a cluster over a connection to NATS.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use prism_driver::Network;
use prism_rooms::{Command, Session};

use crate::{endpoint::Endpoint, handover::Handover, subject::Prefix, upstream::Upstream};

/// Serves a session until its connection is lost. Returns why it was, and at which server.
pub(crate) async fn serve<N: Network>(
    endpoint: &Endpoint<N>,
    prefix: &Prefix,
    session: &Session,
) -> String {
    let opened = match endpoint.open_any(None).await {
        Ok(opened) => opened,
        Err(reasons) => return reasons,
    };
    session.connected();
    let serving = Serving {
        endpoint,
        session,
        upstream: Upstream::new(opened, prefix, session),
        handover: None,
        commands: Box::pin(session.next()),
    };
    serving.await
}

/// A session whose connection is open. Ready when that is lost.
struct Serving<'a, N: Network> {
    endpoint: &'a Endpoint<N>,
    session: &'a Session,
    upstream: Upstream<'a>,
    /// The way to another server, if this one is about to shut down.
    handover: Option<Handover<'a, N>>,
    commands: Pin<Box<dyn Future<Output = Vec<Command>> + Send + 'a>>,
}

impl<N: Network> Serving<'_, N> {
    fn poll_commands(&mut self, cx: &mut Context<'_>) {
        if self.handover.as_ref().is_some_and(Handover::holds_commands) {
            return;
        }
        while let Poll::Ready(commands) = self.commands.as_mut().poll(cx) {
            self.upstream.carry_out(commands);
            self.commands = Box::pin(self.session.next());
        }
    }

    fn poll_handover(&mut self, cx: &mut Context<'_>) {
        if self.handover.is_none() && self.upstream.is_lame_duck() {
            self.handover = Some(Handover::new(self.endpoint, &self.upstream));
        }
        if let Some(handover) = &mut self.handover
            && let Poll::Ready(next) = handover.poll(&mut self.upstream, cx)
        {
            self.upstream = next;
            self.handover = None;
            cx.waker().wake_by_ref(); // for the commands that wait
        }
    }
}

impl<N: Network> Future for Serving<'_, N> {
    type Output = String;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<String> {
        let this = &mut *self;
        this.poll_commands(cx);
        if let Poll::Ready(error) = this.upstream.poll_turn(this.endpoint, cx) {
            return Poll::Ready(format!("{}: {error}", this.upstream.server().address));
        }
        this.poll_handover(cx);
        Poll::Pending
    }
}
