//! [`House`]: what the tasks of a server share; lets them in, and closes.

use std::{io, sync::Arc, time::Duration};

use futures_lite::future::or;

use crate::{
    handler::Handler,
    options::server::ServerOptions,
    outbox::budget::Budget,
    runtime::{Network, undelayed, until, within},
    server::{
        admission::Lobby,
        pending::Visitor,
        registry::Registry,
        router::Router,
        shutdown::Farewell,
        slot::Seat,
        stats::{ServerStats, Shutdown},
    },
    session::{
        Session,
        rate_limit::{Bucket, Unpaced},
    },
};

/// How long to wait when the operating system gives no sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a shutdown waits for sessions that it has cut: they end at once, unless a handler hangs.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// How long a handshake has, however many come: on a good line the request is there at once, and this
/// is long enough for one lost packet to be sent again. With as many places as a listener's queue has, the
/// queue is empty after that time.
const HANDSHAKE_FAIR_TIME: Duration = Duration::from_millis(250);

/// How long a page has, however many are to be sent: half of a handshake's time, so that whoever finds
/// all places taken by slow readers is still there when they have to leave.
const PAGE_FAIR_TIME: Duration = Duration::from_secs(5);

pub(crate) struct House<N: Network> {
    pub(crate) network: N,
    pub(crate) router: Router<Arc<dyn Endpoint<N>>>,
    pub(crate) options: ServerOptions,
    lobby: Arc<Lobby>,
    /// The places of pages that have to wait for their peers.
    pub(crate) pages: Arc<Lobby>,
    pub(crate) registry: Registry,
    pub(crate) budget: Arc<Budget>,
    pub(crate) stats: ServerStats,
}

/// A house in the hands of whoever serves; when it is dropped, nobody else is let in.
pub(crate) struct Opened<N: Network>(Arc<House<N>>);

impl<N: Network> House<N> {
    /// Opens one, with a task that watches the deadlines of who is in it.
    pub(crate) fn open(
        network: N,
        router: Router<Arc<dyn Endpoint<N>>>,
        options: ServerOptions,
        stats: ServerStats,
    ) -> Opened<N> {
        let lobby = Lobby::new(options.max_handshakes, HANDSHAKE_FAIR_TIME);
        let pages = Lobby::new(options.max_pages, PAGE_FAIR_TIME);
        let registry = Registry::new(stats.clone());
        let budget = Budget::new(&options, stats.clone());
        let house =
            Arc::new(Self { network, router, options, lobby, pages, registry, budget, stats });
        let watched = house.clone();
        house.network.spawn(async move { watched.registry.watch(&watched.network).await });
        Opened(house)
    }

    const fn max_connections(&self) -> usize {
        // At zero there would never be room.
        if self.options.max_connections == 0 { 1 } else { self.options.max_connections }
    }

    /// Returns when there is room for somebody who has come, and has a seat already. Until then those
    /// in handshakes or with pages have to leave, one after the other, each when it has had its time.
    async fn make_room(&self) {
        let Self { network, lobby, pages, registry, .. } = self;
        while let Some((due, place)) = self.next_to_leave() {
            if due <= network.now() {
                place.dismiss_oldest();
                continue;
            }
            // Who was in a handshake may also have got in.
            let changed = || self.next_to_leave().is_none_or(|(next, _)| next != due);
            let left = or(lobby.until(changed), pages.until(changed));
            until(network, due, or(left, registry.until(changed))).await;
        }
    }

    /// If there is no room: when the next has to leave for that, and where. Never, if there is nobody,
    /// or enough are about to leave.
    fn next_to_leave(&self) -> Option<(Duration, &Lobby)> {
        let seats = self.registry.len();
        let leaving = self.lobby.crowd().leaving + self.pages.crowd().leaving;
        let is_full = |seats| seats > self.max_connections();
        if is_full(seats.saturating_sub(leaving)) {
            Some(self.first_to_leave())
        } else if let Some(due) = self.lobby.crowd().next_to_leave() {
            Some((due, &self.lobby))
        } else {
            is_full(seats).then_some((Duration::MAX, &self.lobby))
        }
    }

    /// Who has to leave first, whether for a place or for a socket.
    fn first_to_leave(&self) -> (Duration, &Lobby) {
        let due = |lobby: &Lobby| lobby.crowd().next_due;
        let (handshake, page) = (due(&self.lobby), due(&self.pages));
        if page < handshake { (page, &self.pages) } else { (handshake, &self.lobby) }
    }

    /// Waits until the operating system may have more sockets to give. If somebody in a handshake or
    /// with a page has had its time, its socket is one.
    async fn find_socket(&self) {
        let Self { network, registry, .. } = self;
        let seats = registry.len();
        let (due, place) = self.first_to_leave();
        if due <= network.now() {
            place.dismiss_oldest();
        }
        within(network, ACCEPT_PAUSE, registry.until_fewer_than(seats)).await;
    }
}

impl<N: Network> Opened<N> {
    /// Lets connections in, for ever.
    pub(crate) async fn accept(&self, listener: &N::Listener) {
        let house = &self.0;
        loop {
            house.registry.until_fewer_connected_than(house.max_connections()).await;
            let seat = Seat::take(house.clone());
            match house.network.accept(listener).await {
                Ok((stream, peer_addr)) => {
                    let stream = undelayed(&house.network, stream);
                    house.make_room().await;
                    let since = house.network.now();
                    let guest = house.lobby.enter(since);
                    house.stats.accepted();
                    let visitor = Visitor { stream, seat, guest, peer_addr, since };
                    house.network.spawn(visitor.welcome());
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) if is_exhaustion(&error) => house.find_socket().await,
                Err(_) => {
                    house.network.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Closes all connections, and cuts those that have not ended after the grace time. Pages that are
    /// under way go on until then.
    pub(crate) async fn close(self) -> Shutdown {
        let House { network, options, lobby, pages, registry, .. } = &*self.0;
        let grace = network.now().saturating_add(options.shutdown_grace);
        let farewell = Farewell::to(registry.begin_closing());
        lobby.dismiss_all();
        farewell.say(network, registry, options.effective_spread()).await;
        until(network, grace, registry.until_fewer_than(1)).await;
        pages.dismiss_all();
        let outcome = registry.cut_all();
        within(network, CUT_GRACE, registry.until_fewer_than(1)).await;
        outcome
    }
}

impl<N: Network> Drop for Opened<N> {
    fn drop(&mut self) {
        self.0.registry.expect_nobody();
    }
}

/// A handler of a type that the router does not know.
pub(crate) trait Endpoint<N: Network>: Send + Sync {
    /// Runs a session in a task of its own. (The one of the handshake ends: a connection that is
    /// idle should not hold its memory.)
    fn start(self: Arc<Self>, session: Session, seat: Seat<N>);
}

impl<N: Network, H: Handler> Endpoint<N> for H {
    fn start(self: Arc<Self>, session: Session, seat: Seat<N>) {
        let network = seat.network().clone();
        match seat.options().message_rate {
            None => network.spawn(session.run(seat, Unpaced, self, Seat::stand)),
            Some(rate) => {
                let bucket = Bucket::new(network.clone(), rate);
                network.spawn(session.run(seat, bucket, self, Seat::stand));
            }
        }
    }
}

/// Whether a failed `accept` speaks of a peer that has gone again; after others, asking again at once
/// would only burn time.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
    )
}

/// Whether the operating system has no descriptor or memory for one more connection.
fn is_exhaustion(error: &io::Error) -> bool {
    #[cfg(unix)]
    const EXHAUSTED: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    // Windows gives as many sockets as there is memory for: WSAEMFILE, WSAENOBUFS.
    #[cfg(not(unix))]
    const EXHAUSTED: [i32; 2] = [10_024, 10_055];
    error.raw_os_error().is_some_and(|code| EXHAUSTED.contains(&code))
}
