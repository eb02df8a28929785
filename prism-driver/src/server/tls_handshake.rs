//! The TLS handshake of a [`PendingHandshake`], before its request.
//!
//! It is a part of the server's own handshake: the same permit, the same deadline. All of it is in a box, which an open
//! connection does not keep, and which a connection without TLS does not have.

use std::{future::poll_fn, io, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    options::Options,
    runtime::{Network, Transport, timeout::until},
    server::{
        accepted_stream::AcceptedTls,
        active_route::ActiveRoute,
        clients::{ClientAddr, Clients, Incoming, Security},
        handshake::{Preface, Rejected, Upgrade},
        pending_handshake::PendingHandshake,
        stats::NotUpgraded,
    },
    session::read_buffer::ReadBuffer,
    tls::{error::is_tls_error, info::TlsInfo, server::TlsServer, settings::Configuration},
};

/// A request that comes over TLS.
struct OverTls {
    info: Option<Arc<TlsInfo>>,
    /// How much of the handshake timeout is left.
    time_left: Duration,
}

impl Security for OverTls {
    fn time_left(&self, _: &Options) -> Duration {
        self.time_left
    }

    fn info(&self) -> Option<Arc<TlsInfo>> {
        self.info.clone()
    }
}

impl<N: Network> PendingHandshake<N> {
    /// Does the TLS handshake, and then what is done [without TLS](Self::decide).
    pub(super) async fn decide_over_tls(
        &mut self,
        read_buffer: &mut ReadBuffer,
    ) -> Option<Result<Upgrade<Arc<ActiveRoute<N>>>, Rejected>> {
        let timeout = self.shared.connections.options.connection.handshake_timeout;
        let deadline = self.permit.since().saturating_add(timeout);
        let Self { stream, permit, shared, client, .. } = &mut *self;
        let network = shared.network();
        if let (Some(tls), Some(stream)) = (&shared.tls, stream.as_tls()) {
            let handshake = shake_hands(tls, stream, client, &shared.clients, read_buffer);
            match until(network, deadline, permit.run_until_evicted(handshake)).await {
                Some(Some(Ok(()))) => {}
                Some(Some(Err(rejected))) => return Some(Err(rejected)),
                Some(None) => return None,
                None => {
                    return Some(Err(unanswered(io::ErrorKind::TimedOut, NotUpgraded::TimedOut)));
                }
            }
        }
        let info = self.stream.as_tls().and_then(|stream| stream.info().cloned());
        let time_left = deadline.saturating_sub(self.shared.network().now());
        self.decide(read_buffer, OverTls { info, time_left }).await
    }
}

/// Reads what comes before TLS, and does the handshake.
async fn shake_hands<S: Transport>(
    tls: &TlsServer,
    stream: &mut AcceptedTls<S>,
    client: &mut ClientAddr,
    clients: &Clients,
    read_buffer: &mut ReadBuffer,
) -> Result<(), Rejected> {
    let received = read_preface(stream, read_buffer, &mut Incoming::new(client, clients, ())).await;
    let received = received.map_err(|rejected| match rejected {
        // The client expects TLS, so it could not read the answer.
        Rejected::Reply(reply) if reply.reason() == NotUpgraded::TooManyConnections => {
            unanswered(io::ErrorKind::ConnectionRefused, NotUpgraded::TooManyConnections)
        }
        rejected => rejected,
    })?;
    let Configuration { config, handshake_allowance } = tls.current();
    stream.begin(config, received, handshake_allowance);
    poll_fn(|cx| stream.poll_handshake(cx)).await.map_err(|error| match is_tls_error(&error) {
        true => unanswered(error, NotUpgraded::BadTls),
        false => error.into(),
    })
}

/// Reads what comes before TLS, and the first bytes of TLS. So a silent peer costs no state of TLS, and no buffer.
async fn read_preface(
    stream: &mut impl Transport,
    read_buffer: &mut ReadBuffer,
    preface: &mut impl Preface,
) -> Result<Bytes, Rejected> {
    loop {
        if read_buffer.fill(stream).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let received = read_buffer.buffer();
        if preface.receive(received)? && !received.unparsed().is_empty() {
            let rest = Bytes::copy_from_slice(received.unparsed());
            received.discard(rest.len());
            read_buffer.give_back_empty();
            return Ok(rest);
        }
    }
}

fn unanswered(error: impl Into<io::Error>, reason: NotUpgraded) -> Rejected {
    Rejected::Unanswered { error: error.into(), reason }
}
