//! [`PendingConnection`]: a peer that was accepted, until its request is answered.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use futures_lite::future::or;
use prism_core::Request;

use crate::{
    handshake::{Rejected, accept_handshake},
    runtime::{Network, timeout::until},
    server::{
        admission::Permit,
        plain_answer::{PlainAnswer, linger},
        shared::ServerShared,
        slot::Slot,
        stats::Unopened,
    },
    session::read_buffer::ReadBuffer,
};

/// A peer in its handshake, or one that gets a page.
pub(crate) struct PendingConnection<N: Network> {
    // The order in which these are dropped: when a slot is free, so is its descriptor, and a peer that gives up its
    // permit has given up its slot, unless it has become a connection.
    pub(crate) stream: N::Stream,
    pub(crate) slot: Slot<N>,
    pub(crate) permit: Permit,
    pub(crate) shared: Arc<ServerShared<N>>,
    pub(crate) peer_addr: SocketAddr,
    /// When it was accepted.
    pub(crate) since: Duration,
}

/// What comes first while an answer is sent with a handshake's permit.
enum First {
    Sent(io::Result<()>),
    /// There is a permit for a page; `None` if that took too long.
    Permit(Option<Permit>),
}

impl<N: Network> PendingConnection<N> {
    /// Gives the peer what it asks for. A session goes on in a task of its own.
    pub(crate) fn run(mut self) -> impl Future<Output = ()> + Send {
        let mut input = ReadBuffer::new();
        // No `async fn`: it would hold this twice.
        async move {
            let websockets = &*self.shared.websockets;
            let (network, options) = (&websockets.runtime, &websockets.options.connection);
            let router = &self.shared.router;
            let decide = |request: Request<'_>| router.decide(request, &websockets.policy, options);
            let outcome = accept_handshake(network, &mut self.stream, &mut input, options, decide);
            match self.permit.run_until_evicted(outcome).await {
                Some(Ok(upgrade)) => {
                    let Self { stream, slot, permit: _permit, peer_addr, .. } = self;
                    let (session, endpoint) =
                        upgrade.begin(stream, Some(peer_addr), input, slot.options());
                    slot.opened(&session.connection);
                    endpoint.start(session, slot);
                }
                Some(Err(rejected)) => {
                    websockets.stats.unopened(rejected.reason());
                    if let Rejected::Answer(answer) = rejected {
                        drop(input); // it may take long to send the answer
                        self.answer(answer).await;
                    }
                }
                None => websockets.stats.unopened(Unopened::Evicted),
            }
        }
    }

    /// Sends an answer, and gives the peer time to read it.
    async fn answer(&mut self, answer: PlainAnswer) {
        // Boxed, so that a handshake's task is no larger for it.
        if Box::pin(self.send(answer)).await {
            let network = self.shared.network();
            self.permit.run_until_evicted(linger(network, &mut self.stream)).await;
        } else {
            self.shared.websockets.stats.incomplete();
        }
    }

    /// Sends an answer, and returns whether all of it was taken. What the transport does not take at once needs a
    /// permit for a page. Until there is one, sending goes on with the handshake's, for what is left of its time.
    async fn send(&mut self, answer: PlainAnswer) -> bool {
        let Self { stream, permit, shared, since, .. } = self;
        let (network, pages) = (shared.network(), &shared.pages);
        let options = &shared.websockets.options.connection;
        let mut sending = pin!(answer.send(network, stream, options.write_limits()));
        let deadline = since.saturating_add(options.handshake_timeout);
        let sent = async { First::Sent(sending.as_mut().await) };
        let page_permit =
            async { First::Permit(until(network, deadline, pages.acquire(network)).await) };
        let sent = match permit.run_until_evicted(or(sent, page_permit)).await {
            Some(First::Sent(sent)) => Some(sent),
            Some(First::Permit(Some(page))) => {
                *permit = page;
                permit.run_until_evicted(sending).await
            }
            Some(First::Permit(None)) | None => None,
        };
        matches!(sent, Some(Ok(())))
    }
}
