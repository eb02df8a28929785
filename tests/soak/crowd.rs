//! [`Crowd`]: what all who come have in common; and who they are.

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
    counted::Alive,
    runtimes, slow,
    talkers::{self, Faults},
    tally::{KINDS, Kind, Tally},
};

/// One who comes, again and again, until the end.
pub(crate) struct Visitor {
    pub(crate) kind: Kind,
    /// Where to: the server, or a proxy before it.
    pub(crate) address: SocketAddr,
    pub(crate) dice: Rng,
    pub(crate) tally: Arc<Tally>,
    /// When to come first.
    pub(crate) first: Instant,
    /// When to come no more.
    pub(crate) last: Instant,
    _busy: Alive,
}

impl Visitor {
    /// How long to stay this time: until then.
    pub(crate) fn leave(&mut self) -> Instant {
        (Instant::now() + Duration::from_secs(self.dice.u64(10..90))).min(self.last)
    }

    /// A while before coming again.
    pub(crate) fn pause(&mut self) -> Duration {
        Duration::from_millis(self.dice.u64(100..2000))
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.last
    }
}

/// All of them, and the proxy that some go through.
pub(crate) struct Crowd {
    pub(crate) tally: Arc<Tally>,
    _proxy: Proxy,
}

/// How many of a kind there are among so many: a quarter is abusive or faulty.
const fn share(kind: Kind, all: usize) -> usize {
    match kind {
        Kind::Abuser | Kind::Faulty | Kind::Tungstenite => all / 8,
        Kind::Slow => all / 16,
        Kind::Prism => all - all / 8 * 3 - all / 16,
    }
}

impl Crowd {
    /// Has everybody come: not at once, but within a fifth of the time, or twenty seconds.
    pub(crate) fn send<N: Network>(network: &N, server: SocketAddr, plan: &Plan) -> Self {
        let tally = Arc::new(Tally::default());
        let mut dice = Rng::with_seed(plan.seed);
        let mut faults = Faults::new(dice.fork());
        let proxy = Proxy::before(server, move || faults.script());
        let began = Instant::now();
        let coming = (plan.span / 5).min(Duration::from_secs(20));
        for kind in KINDS {
            for _ in 0..share(kind, plan.connections) {
                let visitor = Visitor {
                    kind,
                    address: if kind == Kind::Faulty { proxy.address() } else { server },
                    first: began + coming.mul_f32(dice.f32()),
                    last: began + plan.span,
                    dice: dice.fork(),
                    tally: tally.clone(),
                    _busy: Alive::new(tally.busy.clone()),
                };
                let own = network.clone();
                match kind {
                    Kind::Prism | Kind::Faulty => network.spawn(talkers::prism(own, visitor)),
                    Kind::Tungstenite => runtimes::tokio::spawn(talkers::tungstenite(visitor)),
                    Kind::Slow => runtimes::tokio::spawn(slow::read(visitor)),
                    Kind::Abuser => abusers::abuse(visitor),
                }
            }
        }
        Self { tally, _proxy: proxy }
    }
}
