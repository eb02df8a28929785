//! [`Handover`]: how a session leaves a server that is about to shut down (in lame duck mode), for another one.
//!
//! ```text
//!   Opening ─► Subscribing ── both servers have done all ──► Settling ── 250 ms ──► Flushing ─► the next server is used
//!      ▲            │                                            │                      │
//!      └────────────┴── the next server fails, takes too long, ──┴ or sends too much ───┘
//! ```
//!
//! Until the end, the session receives from both servers. What arrives from the next one is withheld until the old one
//! has sent all that was published before: it may lag, and what arrives in another order would count as lost. What
//! arrives from both is recognized by the cluster.
//!
//! From `Subscribing` on, commands wait. So what was published at the old server has arrived everywhere before
//! something is published at the next one.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use prism_driver::Network;

use crate::{
    endpoint::{Endpoint, Opened},
    upstream::Upstream,
    url::Server,
};

/// How long servers have to tell each other of subscriptions, and to pass on what was published.
const SETTLING: Duration = Duration::from_millis(250);

/// How long commands wait at most, before they go to the old server after all. The cluster drops what is not published
/// within 2 s.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// When another server is looked for again.
const RETRY: Duration = Duration::from_secs(2);

pub(crate) struct Handover<'a, N: Network> {
    endpoint: &'a Endpoint<N>,
    opening: Pin<Box<dyn Future<Output = Opened> + Send + 'a>>,
    next: Option<Next<'a, N>>,
}

/// The server that takes over.
struct Next<'a, N: Network> {
    upstream: Upstream<'a>,
    phase: Phase<N>,
    is_late: Pin<Box<N::Sleep>>,
}

enum Phase<N: Network> {
    Subscribing,
    Settling(Pin<Box<N::Sleep>>),
    Flushing,
}

impl<'a, N: Network> Handover<'a, N> {
    pub(crate) fn new(endpoint: &'a Endpoint<N>, old: &Upstream<'a>) -> Self {
        let opening = Box::pin(open(endpoint, old.server().clone(), Duration::ZERO));
        Self { endpoint, opening, next: None }
    }

    /// Returns whether commands have to wait.
    pub(crate) const fn holds_commands(&self) -> bool {
        self.next.is_some()
    }

    /// Ready when the next server has taken over, and the old one can be left.
    pub(crate) fn poll(
        &mut self,
        old: &mut Upstream<'a>,
        cx: &mut Context<'_>,
    ) -> Poll<Upstream<'a>> {
        if self.next.is_none() {
            let opened = ready!(self.opening.as_mut().poll(cx));
            self.next = Some(Next {
                upstream: old.successor(opened),
                phase: Phase::Subscribing,
                is_late: Box::pin(self.endpoint.runtime.sleep(MAX_WAIT)),
            });
        }
        let Some(next) = &mut self.next else { return Poll::Pending };
        let is_lost = next.upstream.poll_turn(self.endpoint, cx).is_ready();
        let is_late = next.is_late.as_mut().poll(cx).is_ready();
        if is_lost || is_late || next.upstream.withholds_too_much() {
            self.next = None;
            self.opening = Box::pin(open(self.endpoint, old.server().clone(), RETRY));
            cx.waker().wake_by_ref(); // for the commands that wait
            return Poll::Pending;
        }
        loop {
            match &mut next.phase {
                Phase::Subscribing if old.is_idle() && next.upstream.is_idle() => {
                    let settled = self.endpoint.runtime.sleep(SETTLING);
                    next.phase = Phase::Settling(Box::pin(settled));
                }
                Phase::Settling(settled) => {
                    ready!(settled.as_mut().poll(cx));
                    old.ask(cx);
                    next.phase = Phase::Flushing;
                }
                Phase::Flushing if old.is_idle() => break,
                Phase::Subscribing | Phase::Flushing => return Poll::Pending,
            }
        }
        self.next.take().map_or(Poll::Pending, |mut next| {
            next.upstream.release();
            Poll::Ready(next.upstream)
        })
    }
}

/// Opens a connection to another server than the old one, after a delay, and as soon as that is possible.
async fn open<N: Network>(endpoint: &Endpoint<N>, old: Server, mut delay: Duration) -> Opened {
    loop {
        if !delay.is_zero() {
            endpoint.runtime.sleep(delay).await;
        }
        match endpoint.open_any(Some(&old)).await {
            Ok(opened) if !opened.info.is_lame_duck => return opened,
            _ => delay = RETRY,
        }
    }
}
