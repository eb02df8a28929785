//! [`PendingHandshake`]: an accepted transport, until its request is answered.
//!
//! It has a short task of its own, and a session runs in another one, because an idle connection should not hold the
//! memory of its handshake. A smaller handshake does not pay off. One of half the size was tried: glibc then leaves
//! gaps between the connections, which take 3 % more memory, and a broadcast to a thousand of them costs a sixth more.

use std::{io, net::SocketAddr, pin::pin, sync::Arc};

use futures_lite::future::or;
use prism_core::Request;

use crate::{
    runtime::{Network, timeout::until},
    server::{
        handshake::{Rejected, accept_handshake},
        permits::Permit,
        plain_reply::{PlainReply, linger},
        shared::ServerShared,
        slot::Slot,
        stats::NotUpgraded,
    },
    session::read_buffer::ReadBuffer,
};

/// An accepted transport that is in its handshake, or that gets a plain answer.
pub(crate) struct PendingHandshake<N: Network> {
    // The order of the fields is the order in which they are dropped. A slot is freed after its descriptor, and the
    // permit is released after the slot, unless the slot went to a connection.
    pub(crate) stream: N::Stream,
    pub(crate) slot: Slot<N>,
    pub(crate) permit: Permit,
    pub(crate) shared: Arc<ServerShared<N>>,
    pub(crate) peer_addr: SocketAddr,
}

/// The first event while an answer is sent under a handshake's permit.
enum First {
    Sent(io::Result<()>),
    /// A permit for a page was acquired, or `None`: the deadline passed.
    Permit(Option<Permit>),
}

impl<N: Network> PendingHandshake<N> {
    /// Does the handshake and sends the answer. If the request becomes a connection, its session runs in a task of its
    /// own.
    pub(crate) fn run(mut self) -> impl Future<Output = ()> + Send {
        let mut read_buffer = ReadBuffer::new();
        // Not an `async fn`, whose future would hold `self` twice.
        async move {
            let websockets = &*self.shared.websockets;
            let (network, options) = (&websockets.runtime, &websockets.options.connection);
            let router = &self.shared.router;
            let decide = |request: Request<'_>| router.decide(request, &websockets.policy, options);
            let outcome =
                accept_handshake(network, &mut self.stream, &mut read_buffer, options, decide);
            match self.permit.run_until_evicted(outcome).await {
                Some(Ok(upgrade)) => {
                    let Self { stream, slot, permit: _permit, peer_addr, .. } = self;
                    let (session, endpoint) =
                        upgrade.begin(stream, Some(peer_addr), read_buffer, slot.options());
                    slot.opened(&session.connection);
                    endpoint.start(session, slot);
                }
                Some(Err(rejected)) => {
                    websockets.stats.not_upgraded(rejected.reason());
                    if let Rejected::Reply(reply) = rejected {
                        drop(read_buffer); // sending the answer may take long
                        self.reply(reply).await;
                    }
                }
                None => websockets.stats.not_upgraded(NotUpgraded::Evicted),
            }
        }
    }

    /// Sends an answer, and gives the peer time to read it.
    async fn reply(&mut self, reply: PlainReply) {
        // Boxed, so that it does not enlarge the task of every handshake.
        if Box::pin(self.send(reply)).await {
            let network = self.shared.network();
            self.permit.run_until_evicted(linger(network, &mut self.stream)).await;
        } else {
            self.shared.websockets.stats.incomplete();
        }
    }

    /// Sends an answer, and returns whether the transport accepted all of it. If the transport does not accept it at
    /// once, sending needs a permit for a page. Until one is free, sending continues under the handshake's permit, for
    /// the rest of the handshake timeout.
    async fn send(&mut self, reply: PlainReply) -> bool {
        let Self { stream, permit, shared, .. } = self;
        let network = shared.network();
        let options = &shared.websockets.options.connection;
        let mut sending = pin!(reply.send(network, stream, options.write_limits()));
        let deadline = permit.since().saturating_add(options.handshake_timeout);
        let sent = async { First::Sent(sending.as_mut().await) };
        let page_permit =
            async { First::Permit(until(network, deadline, shared.admission.admit_page()).await) };
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
