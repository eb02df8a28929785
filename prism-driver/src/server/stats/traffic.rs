//! [`Traffic`]: how much connections receive and send, and the counters for it.
//!
//! A session counts what it receives and sends by itself, and adds it to the server's counters when it has handled what
//! one read returned, or after a write. So no message costs an atomic operation. Threads add to different counters
//! ([`SHARDS`] of them), because they would otherwise wait for each other's cache line.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Numbers of messages and of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// The number of messages, text and binary.
    pub messages: u64,
    /// The number of bytes of all frames, with their headers: what passes between Prism and the transport, before TLS
    /// is added to it.
    pub bytes: u64,
}

impl Traffic {
    pub(crate) const fn new(messages: u64, bytes: u64) -> Self {
        Self { messages, bytes }
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

/// The number of sets of counters.
const SHARDS: usize = 16;

/// What the connections of a server have received and sent.
#[derive(Debug, Default)]
pub(super) struct TrafficCounters([Shard; SHARDS]);

/// The counters of some threads, in a cache line of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard {
    received: Counter,
    sent: Counter,
}

#[derive(Debug, Default)]
struct Counter {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl TrafficCounters {
    pub(super) fn add(&self, received: Traffic, sent: Traffic) {
        let shard = &self.0[own_shard()];
        shard.received.add(received);
        shard.sent.add(sent);
    }

    pub(super) fn received(&self) -> Traffic {
        sum(self.0.iter().map(|shard| &shard.received))
    }

    pub(super) fn sent(&self) -> Traffic {
        sum(self.0.iter().map(|shard| &shard.sent))
    }
}

impl Counter {
    fn add(&self, traffic: Traffic) {
        if traffic.messages > 0 {
            self.messages.fetch_add(traffic.messages, Relaxed);
        }
        if traffic.bytes > 0 {
            self.bytes.fetch_add(traffic.bytes, Relaxed);
        }
    }
}

fn sum<'a>(counters: impl Iterator<Item = &'a Counter>) -> Traffic {
    counters.fold(Traffic::default(), |mut sum, counter| {
        sum += Traffic::new(counter.messages.load(Relaxed), counter.bytes.load(Relaxed));
        sum
    })
}

/// Returns the index of the shard that this thread adds to.
fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Relaxed) % SHARDS;
    }
    OWN.with(|shard| *shard)
}

#[cfg(test)]
mod tests {
    use super::{SHARDS, Traffic, TrafficCounters};

    #[test]
    fn what_all_threads_have_added_is_summed_up() {
        let counters = TrafficCounters::default();
        std::thread::scope(|scope| {
            for _ in 0..=SHARDS {
                scope.spawn(|| {
                    counters.add(Traffic::new(1, 10), Traffic::new(0, 2));
                });
            }
        });
        let threads = SHARDS as u64 + 1;
        assert_eq!(counters.received(), Traffic::new(threads, 10 * threads));
        assert_eq!(counters.sent(), Traffic::new(0, 2 * threads));
    }
}
