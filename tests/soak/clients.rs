//! [`Clients`]: the clients of all kinds, and what they have in common.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use fastrand::Rng;
use prism_driver::Network;
use prism_tests::proxy::Proxy;

use crate::{
    Plan, abusers,
    counting_network::CountGuard,
    echo_clients::{self, Faults},
    runtimes, slow_readers,
    tally::{KINDS, Kind, Tally},
};

/// The task of one client, which connects again and again until the end.
pub(crate) struct ClientTask {
    pub(crate) kind: Kind,
    /// The address of the server, or of the proxy in front of it.
    pub(crate) address: SocketAddr,
    pub(crate) rng: Rng,
    pub(crate) tally: Arc<Tally>,
    /// When to connect for the first time.
    pub(crate) starts_at: Instant,
    /// When to stop.
    pub(crate) ends_at: Instant,
    _unfinished: CountGuard,
}

impl ClientTask {
    /// Picks the end of the next connection.
    pub(crate) fn next_end(&mut self) -> Instant {
        (Instant::now() + Duration::from_secs(self.rng.u64(10..90))).min(self.ends_at)
    }

    /// Picks a pause before the next connection.
    pub(crate) fn pause(&mut self) -> Duration {
        Duration::from_millis(self.rng.u64(100..2000))
    }

    pub(crate) fn is_finished(&self) -> bool {
        Instant::now() >= self.ends_at
    }
}

/// All clients, and the proxy that some of them use.
pub(crate) struct Clients {
    pub(crate) tally: Arc<Tally>,
    _proxy: Proxy,
}

/// Returns how many of `all` clients are of a kind. A quarter is abusive or faulty.
const fn share(kind: Kind, all: usize) -> usize {
    match kind {
        Kind::Abuser | Kind::Faulty | Kind::Tungstenite => all / 8,
        Kind::Slow => all / 16,
        Kind::Prism => all - all / 8 * 3 - all / 16,
    }
}

impl Clients {
    /// Starts all clients, spread over a fifth of the run or twenty seconds.
    pub(crate) fn start<N: Network>(network: &N, server: SocketAddr, plan: &Plan) -> Self {
        let tally = Arc::new(Tally::default());
        let mut rng = Rng::with_seed(plan.seed);
        let mut faults = Faults::new(rng.fork());
        let proxy = Proxy::in_front_of(server, move || faults.script());
        let start = Instant::now();
        let ramp_up = (plan.span / 5).min(Duration::from_secs(20));
        for kind in KINDS {
            for _ in 0..share(kind, plan.connections) {
                let task = ClientTask {
                    kind,
                    address: if kind == Kind::Faulty { proxy.address() } else { server },
                    starts_at: start + ramp_up.mul_f32(rng.f32()),
                    ends_at: start + plan.span,
                    rng: rng.fork(),
                    tally: tally.clone(),
                    _unfinished: CountGuard::new(tally.unfinished.clone()),
                };
                let own = network.clone();
                match kind {
                    Kind::Prism | Kind::Faulty => network.spawn(echo_clients::prism(own, task)),
                    Kind::Tungstenite => runtimes::tokio::spawn(echo_clients::tungstenite(task)),
                    Kind::Slow => runtimes::tokio::spawn(slow_readers::read(task)),
                    Kind::Abuser => abusers::abuse(task),
                }
            }
        }
        Self { tally, _proxy: proxy }
    }
}
