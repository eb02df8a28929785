//! [`PendingHandshake`]: an accepted transport, until its request is answered.
//!
//! It has a short task of its own, and a session runs in another one, because an idle connection should not hold the
//! memory of its handshake. A smaller handshake does not pay off. One of half the size was tried: glibc then leaves
//! gaps between the connections, which take 3 % more memory, and a broadcast to a thousand of them costs a sixth more.

use std::{
    future::{pending, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
};

use futures_io::AsyncWrite;
use futures_lite::future::or;
use prism_core::Request;

use crate::{
    runtime::{
        Network, Transport,
        timeout::{until, within},
    },
    server::{
        accepted_stream::AcceptedStream,
        active_route::ActiveRoute,
        clients::{ClientAddr, Incoming, Security},
        handshake::{Rejected, Upgrade, accept_handshake},
        permits::Permit,
        plain_reply::{LINGER_TIMEOUT, PlainReply, linger},
        router::Decision,
        shared::ServerShared,
        slot::Slot,
        stats::{NotUpgraded, opened::HttpVersion},
        undecided::Undecided,
    },
    session::{
        Session,
        read_buffer::{HEAD_READ, ReadBuffer},
    },
};

/// The maximum number of bytes that are read while the application decides on a request. More can wait in the kernel.
/// The bytes take no more memory than this, because a buffer with so few bytes is [replaced by a small
/// one](ReadBuffer::shrink).
const MAX_EARLY: usize = 16 << 10;

/// An accepted transport that is in its handshake, or that gets a plain answer.
pub(crate) struct PendingHandshake<N: Network> {
    // The order of the fields is the order in which they are dropped. A slot is freed after its descriptor, and the
    // permit is released after the slot, unless the slot went to a connection.
    pub(crate) stream: AcceptedStream<N::Stream>,
    pub(crate) slot: Slot<N>,
    pub(crate) permit: Permit,
    pub(crate) shared: Arc<ServerShared<N>>,
    pub(crate) client: ClientAddr,
    _padding: [u64; 4],
}

/// The first event while an answer is sent under a handshake's permit.
enum First {
    Sent(io::Result<()>),
    /// A permit for a page was acquired, or `None`: the deadline passed.
    Permit(Option<Permit>),
}

impl<N: Network> PendingHandshake<N> {
    pub(crate) fn new(
        stream: N::Stream,
        slot: Slot<N>,
        permit: Permit,
        shared: Arc<ServerShared<N>>,
        client: ClientAddr,
    ) -> Self {
        // Tokio aligns tasks to 128 bytes. When this one is freed, glibc places the parts of a connection around it.
        // Without the padding, the task is one step smaller, and each idle connection takes 32 bytes more (measured).
        let stream = match shared.tls {
            #[cfg(feature = "tls")]
            Some(_) => AcceptedStream::before_tls(stream),
            _ => AcceptedStream::Plain(stream),
        };
        Self { stream, slot, permit, shared, client, _padding: [0; 4] }
    }

    /// Does the handshake and sends the answer. If the request becomes a connection, its session runs in a task of its
    /// own.
    pub(crate) fn run(mut self) -> impl Future<Output = ()> + Send {
        let mut read_buffer = ReadBuffer::new();
        // Not an `async fn`, whose future would hold `self` twice.
        async move {
            let outcome = match self.stream {
                _ if self.client.is_excess() => Some(Err(self.refuse_excess())),
                AcceptedStream::Plain(_) => self.decide(&mut read_buffer, ()).await,
                // Boxed, so that it does not enlarge the task of every handshake.
                #[cfg(feature = "tls")]
                AcceptedStream::Tls(_) => Box::pin(self.decide_over_tls(&mut read_buffer)).await,
            };
            match outcome {
                Some(Ok(upgrade)) => self.open(upgrade, read_buffer),
                Some(Err(rejected)) => {
                    self.note_not_upgraded(rejected.reason(), rejected.status());
                    drop(read_buffer); // sending the answer may take long
                    if rejected.can_be_read() {
                        self.reply(rejected).await;
                    }
                }
                None => self.note_not_upgraded(NotUpgraded::Evicted, None),
            }
        }
    }

    fn note_not_upgraded(&self, reason: NotUpgraded, status: Option<u16>) {
        self.shared.connections.not_upgraded(Some(self.client.addr()), reason, status);
    }

    /// Returns the refusal of a client that has too many connections. Over TLS there is no answer: each would cost a
    /// TLS handshake, and the limit is there to save that.
    fn refuse_excess(&self) -> Rejected {
        match self.stream {
            AcceptedStream::Plain(_) => PlainReply::too_many_connections(false).into(),
            #[cfg(feature = "tls")]
            AcceptedStream::Tls(_) => Rejected::Unanswered {
                error: io::ErrorKind::ConnectionRefused.into(),
                reason: NotUpgraded::TooManyConnections,
            },
        }
    }

    /// Reads the request, and returns what becomes of it; `None` if the handshake is evicted.
    pub(super) async fn decide(
        &mut self,
        read_buffer: &mut ReadBuffer,
        security: impl Security,
    ) -> Option<Result<Upgrade<Arc<ActiveRoute<N>>>, Rejected>> {
        let Self { stream, permit, shared, client, .. } = &mut *self;
        let (network, options) = (shared.network(), &shared.connections.options.connection);
        let mut incoming = Incoming::new(client, &shared.clients, security);
        let decide = |request: Request<'_>, incoming: &mut Incoming<'_, _>| {
            let client = incoming.client_of(&request);
            client.map_or_else(Decision::Reply, |client| shared.router.decide(request, client))
        };
        let decision =
            accept_handshake(network, stream, read_buffer, options, &mut incoming, decide);
        match permit.run_until_evicted(decision).await? {
            Ok(Decision::Upgrade(upgrade)) => Some(Ok(upgrade)),
            Ok(Decision::Reply(reply)) => Some(Err(reply.into())),
            Ok(Decision::Undecided(undecided)) => {
                // Boxed, so that it does not enlarge the task of every handshake.
                Box::pin(self.resolve(*undecided, read_buffer)).await
            }
            Err(rejected) => Some(Err(rejected)),
        }
    }

    /// Opens a connection, and starts its session.
    fn open(self, upgrade: Upgrade<Arc<ActiveRoute<N>>>, read_buffer: ReadBuffer) {
        let Self { mut stream, mut slot, permit: _permit, client, .. } = self;
        let Upgrade { route, established } = upgrade;
        let options = &route.context.options;
        let tls = stream.take_tls_info();
        let session = Session::new(
            established,
            stream.into_transport(),
            Some(client.addr()),
            read_buffer,
            options,
        );
        let session = session.with_tls(tls);
        slot.set_route(&route.context);
        slot.opened(&session.connection, HttpVersion::Http1);
        client.opened();
        route.endpoint.start(session, slot);
    }

    /// Lets the application decide on a request, for the rest of the handshake timeout. If the peer disconnects
    /// meanwhile, the decision is canceled. Returns `None` if the handshake is evicted.
    async fn resolve(
        &mut self,
        undecided: Undecided<N>,
        read_buffer: &mut ReadBuffer,
    ) -> Option<Result<Upgrade<Arc<ActiveRoute<N>>>, Rejected>> {
        let Self { stream, permit, shared, .. } = self;
        let (network, admission) = (shared.network(), &shared.admission);
        let timeout = shared.connections.options.connection.handshake_timeout;
        let deadline = permit.since().saturating_add(timeout);
        let late = undecided.timeout();
        let mut left = pin!(left(stream, read_buffer, undecided.is_upgrade()));
        if undecided.is_upgrade() {
            permit.exchange(admission.queue());
            let turn = or(async { Ok(admission.admit_authorization().await) }, async {
                Err(left.as_mut().await)
            });
            match until(network, deadline, permit.run_until_evicted(turn)).await {
                // In a shutdown, each request in the queue gets a permit, but one that is evicted already.
                Some(Some(Ok(running))) if running.is_evicted() => return None,
                Some(Some(Ok(running))) => permit.exchange(running),
                Some(Some(Err(error))) => return Some(Err(error.into())),
                Some(None) => return None,
                None => {
                    permit.exchange(admission.readmit());
                    return Some(Err(late.into()));
                }
            }
        }
        let decision = or(async { undecided.decide().await.map_err(Rejected::from) }, async {
            Err(left.await.into())
        });
        let outcome = until(network, deadline, permit.run_until_evicted(decision)).await;
        permit.exchange(admission.readmit());
        outcome.unwrap_or_else(|| Some(Err(late.into())))
    }

    /// Sends an answer, or ends a TLS handshake that has failed, and gives the peer time to read the answer or the
    /// alert.
    async fn reply(&mut self, rejected: Rejected) {
        let is_reply = matches!(rejected, Rejected::Reply(_));
        // Boxed, so that it does not enlarge the task of every handshake.
        let sent = Box::pin(async {
            match rejected {
                Rejected::Reply(reply) => self.send(reply).await,
                Rejected::Unanswered { .. } => self.close().await,
            }
        });
        if sent.await {
            let network = self.shared.network();
            self.permit.run_until_evicted(linger(network, &mut self.stream)).await;
        } else if is_reply {
            self.shared.connections.stats.incomplete();
        }
    }

    /// Closes our side of the transport, and returns whether that has succeeded.
    async fn close(&mut self) -> bool {
        let Self { stream, permit, shared, .. } = self;
        let close = poll_fn(|cx| Pin::new(&mut *stream).poll_close(cx));
        let closed = within(shared.network(), LINGER_TIMEOUT, close);
        matches!(permit.run_until_evicted(closed).await, Some(Some(Ok(()))))
    }

    /// Sends an answer, and returns whether the transport accepted all of it. If the transport does not accept it at
    /// once, sending needs a permit for a page. Until one is free, sending continues under the handshake's permit, for
    /// the rest of the handshake timeout.
    async fn send(&mut self, reply: PlainReply) -> bool {
        let Self { stream, permit, shared, .. } = self;
        let network = shared.network();
        let options = &shared.connections.options.connection;
        let mut sending = pin!(reply.send(network, stream, options.write_limits()));
        let deadline = permit.since().saturating_add(options.handshake_timeout);
        let sent = async { First::Sent(sending.as_mut().await) };
        let page_permit =
            async { First::Permit(until(network, deadline, shared.admission.admit_page()).await) };
        let sent = match permit.run_until_evicted(or(sent, page_permit)).await {
            Some(First::Sent(sent)) => Some(sent),
            Some(First::Permit(Some(page))) => {
                permit.exchange(page);
                permit.run_until_evicted(sending).await
            }
            Some(First::Permit(None)) | None => None,
        };
        matches!(sent, Some(Ok(())))
    }
}

/// Waits until the peer has left: when the transport fails or, if the peer wants a connection, ends. (A client that
/// asks for a page may end its side at once.) Keeps what the peer sends meanwhile. After about [`MAX_EARLY`] bytes,
/// nothing more is read, so it is not noticed that the peer leaves.
async fn left(
    stream: &mut impl Transport,
    read_buffer: &mut ReadBuffer,
    wants_upgrade: bool,
) -> io::Error {
    while read_buffer.len() + HEAD_READ <= MAX_EARLY {
        match read_buffer.fill(stream).await {
            Ok(0) if wants_upgrade => return io::ErrorKind::UnexpectedEof.into(),
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return error,
        }
    }
    read_buffer.shrink();
    pending().await
}
