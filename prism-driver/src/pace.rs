//! [`Pace`]: how fast a peer's messages are taken.

use std::{
    future::{Future, Ready},
    time::Duration,
};

use futures_util::{FutureExt, future::Map};

use crate::runtime::Runtime;

/// How many messages a peer may send: so many per second, and so many at once after it has been quiet
/// for long enough. (A token bucket: `burst` tokens fit into it, it fills with `per_second` of them,
/// and each message takes one.)
///
/// ```
/// use prism_driver::{Options, Rate};
///
/// let mut options = Options::default();
/// options.message_rate = Some(Rate { per_second: 20, burst: 100 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many messages per second, in the long run. Zero counts as one.
    pub per_second: u32,
    /// How many messages at once. Zero counts as one.
    pub burst: u32,
}

/// How fast messages are taken. Sessions know it by its type, so that those without a rate have no
/// memory for one, and no question to ask.
pub(crate) trait Pace {
    type Wait: Future<Output = ()>;

    /// A message has come: what it has to wait for, if it has to.
    fn take(&mut self) -> Option<Self::Wait>;
}

/// As fast as they come.
pub(crate) struct Unpaced;

impl Pace for Unpaced {
    type Wait = Ready<()>;

    fn take(&mut self) -> Option<Ready<()>> {
        None
    }
}

/// At a [`Rate`].
pub(crate) struct Bucket<R> {
    runtime: R,
    rate: Rate,
    /// When it is full again.
    full_at: Duration,
}

impl<R: Runtime> Bucket<R> {
    pub(crate) const fn new(runtime: R, rate: Rate) -> Self {
        Self { runtime, rate, full_at: Duration::ZERO }
    }
}

impl<R: Runtime> Pace for Bucket<R> {
    type Wait = Map<R::Sleep, fn(<R::Sleep as Future>::Output)>;

    /// Takes a token, be it one that is still to come.
    fn take(&mut self) -> Option<Self::Wait> {
        let now = self.runtime.now();
        let token = Duration::from_secs(1) / self.rate.per_second.max(1);
        self.full_at = now.max(self.full_at).saturating_add(token);
        let there_at = self.full_at.saturating_sub(token.saturating_mul(self.rate.burst.max(1)));
        let missing = there_at.saturating_sub(now);
        (!missing.is_zero()).then(|| self.runtime.sleep(missing).map(drop as fn(_)))
    }
}
