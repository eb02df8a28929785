//! [`Traffic`]: how much connections receive and send, and the counters for it.
//!
//! A session counts what it receives and sends by itself, and adds it to the server's counters when it has handled what
//! one read returned, or after a write. Threads add to different counters, because they would otherwise wait for each
//! other's cache line. Most threads have counters that no other thread adds to, so that they need no atomic addition
//! either: the four of each wake-up would take as long as parsing the message.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::server::stats::thread_number;

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

/// How many threads can have counters of their own.
const OWNED: usize = 64;

/// How many sets of counters all further threads share.
const SHARED: usize = 16;

/// What the connections of a server have received and sent.
#[derive(Debug)]
pub(super) struct TrafficCounters {
    /// By the number of the thread that owns them.
    owned: [Shard; OWNED],
    shared: [Shard; SHARED],
}

/// The counters of a thread, or of some threads, in a cache line of their own.
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

impl Default for TrafficCounters {
    fn default() -> Self {
        Self { owned: [(); OWNED].map(|()| Shard::default()), shared: Default::default() }
    }
}

impl TrafficCounters {
    pub(super) fn add(&self, received: Traffic, sent: Traffic) {
        let thread = thread_number::own();
        if let Some(shard) = thread.and_then(|number| self.owned.get(number)) {
            shard.received.add_as_owner(received);
            shard.sent.add_as_owner(sent);
        } else {
            let shard = &self.shared[thread.unwrap_or_default() % SHARED];
            shard.received.add(received);
            shard.sent.add(sent);
        }
    }

    pub(super) fn received(&self) -> Traffic {
        sum(self.shards().map(|shard| &shard.received))
    }

    pub(super) fn sent(&self) -> Traffic {
        sum(self.shards().map(|shard| &shard.sent))
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.owned.iter().chain(&self.shared)
    }
}

impl Counter {
    /// Adds to a counter that no other thread changes.
    fn add_as_owner(&self, traffic: Traffic) {
        for (counter, more) in [(&self.messages, traffic.messages), (&self.bytes, traffic.bytes)] {
            counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
        }
    }

    fn add(&self, traffic: Traffic) {
        self.messages.fetch_add(traffic.messages, Relaxed);
        self.bytes.fetch_add(traffic.bytes, Relaxed);
    }
}

fn sum<'a>(counters: impl Iterator<Item = &'a Counter>) -> Traffic {
    counters.fold(Traffic::default(), |mut sum, counter| {
        sum += Traffic::new(counter.messages.load(Relaxed), counter.bytes.load(Relaxed));
        sum
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::{OWNED, Traffic, TrafficCounters};

    #[test]
    fn what_all_threads_have_added_is_summed_up() {
        const THREADS: usize = 2 * OWNED;
        let counters = TrafficCounters::default();
        let all_run = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    all_run.wait();
                    counters.add(Traffic::new(1, 10), Traffic::new(0, 2));
                });
            }
        });
        let threads = THREADS as u64;
        assert_eq!(counters.received(), Traffic::new(threads, 10 * threads));
        assert_eq!(counters.sent(), Traffic::new(0, 2 * threads));
    }
}
