//! [`Moment`]: a time on the runtime's clock in one word, because every idle connection holds some.

use std::{num::NonZeroU64, time::Duration};

/// A [`Duration`] since the clock's beginning, in nanoseconds. The end of time is after 584 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(NonZeroU64);

impl Moment {
    pub(crate) const BEGINNING: Self = Self(NonZeroU64::MIN);
    pub(crate) const END: Self = Self(NonZeroU64::MAX);
}

impl From<Duration> for Moment {
    fn from(since: Duration) -> Self {
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        Self(NonZeroU64::new(nanos).unwrap_or(Self::BEGINNING.0))
    }
}

impl From<Moment> for Duration {
    fn from(moment: Moment) -> Self {
        Self::from_nanos(moment.0.get())
    }
}
