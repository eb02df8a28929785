//! Tests of the budget with connections that consist of an outbox only.

use std::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::Bytes;
use fastrand::Rng;
use prism_core::{OpCode, Output, PreparedMessage};

use crate::{
    options::server::ServerOptions,
    outbox::{
        budget::{Budget, BudgetEntry, Evict, FRAME_OVERHEAD, STALLED_OVERHEAD, cost},
        queue::{SendQueue, frame::FrameBytes},
    },
    server::stats::ServerStats,
};

/// A connection that consists of an outbox only.
#[derive(Default)]
struct Fake {
    queue: Mutex<SendQueue>,
    wakes: AtomicUsize,
}

impl Evict for Fake {
    fn evict(&self, number: u64) -> bool {
        let mut queue = self.queue.lock().unwrap();
        let is_counted = queue.budget_entry().is_some_and(|entry| entry.number() == number);
        if is_counted {
            queue.clear();
        }
        is_counted
    }

    fn wake(&self) {
        self.wakes.fetch_add(1, Relaxed);
    }
}

impl Fake {
    fn stall(self: &Arc<Self>, budget: &Arc<Budget>) {
        let weak: Weak<Self> = Arc::downgrade(self);
        self.queue.lock().unwrap().count_in(budget, || weak);
    }

    fn append(&self, message: &PreparedMessage) {
        self.queue.lock().unwrap().append(message);
    }

    fn keep(&self, payload: Bytes) {
        self.queue.lock().unwrap().push(FrameBytes::new(OpCode::Binary, payload));
    }

    fn advance(&self, count: usize) {
        self.queue.lock().unwrap().advance(count);
    }

    fn was_evicted(&self) -> bool {
        self.wakes.load(Relaxed) > 0
    }
}

fn budget(limit: usize) -> Arc<Budget> {
    let mut options = ServerOptions::default().max_buffered(limit);
    options.connection.high_water_mark = 1;
    Budget::new(&options, ServerStats::default())
}

/// Returns `count` connections that have stalled in this order, each with a message of `len` bytes.
fn stalled(budget: &Arc<Budget>, count: usize, len: usize) -> Vec<Arc<Fake>> {
    let stall = |_| {
        let fake = Arc::new(Fake::default());
        fake.append(&PreparedMessage::new(&vec![7; len]));
        fake.stall(budget);
        fake
    };
    (0..count).map(stall).collect()
}

fn evicted(fakes: &[Arc<Fake>]) -> Vec<bool> {
    fakes.iter().map(|fake| fake.was_evicted()).collect()
}

#[test]
fn the_longest_stalled_are_evicted_and_no_more_than_needed() {
    let budget = budget(100_000);
    let fakes = stalled(&budget, 4, 24_000);
    budget.enforce();
    assert_eq!(evicted(&fakes), [false; 4], "everything fits");
    // Progress moves the first connection to the end of the order.
    fakes[0].advance(1);
    fakes[3].append(&PreparedMessage::new(&[7; 24_000]));
    budget.enforce();
    assert_eq!(evicted(&fakes), [false, true, false, false]);
    fakes[0].append(&PreparedMessage::new(&[7; 72_000]));
    budget.enforce();
    budget.enforce();
    assert_eq!(evicted(&fakes), [false, true, true, true]);
    assert_eq!(fakes[1].wakes.load(Relaxed), 1);
    assert_eq!(budget.stats.counts().evicted, 3);
}

#[test]
fn a_budget_that_is_exactly_used_up_is_not_exceeded() {
    let spacious = budget(usize::MAX);
    let fakes = stalled(&spacious, 2, 1000);
    let held = spacious.stats.buffered() as usize;
    drop(fakes);
    for (limit, is_over) in [(held, false), (held - 1, true)] {
        let budget = budget(limit);
        let fakes = stalled(&budget, 2, 1000);
        assert_eq!(budget.is_over(), is_over, "a limit of {limit} bytes for {held}");
        budget.enforce();
        assert_eq!(evicted(&fakes), [is_over, false]);
    }
}

#[test]
fn the_only_stalled_connection_is_never_evicted() {
    let budget = budget(0);
    let fakes = stalled(&budget, 1, 1_000_000);
    budget.enforce();
    assert_eq!(evicted(&fakes), [false]);
    let second = stalled(&budget, 1, 10);
    budget.enforce();
    assert_eq!((evicted(&fakes), evicted(&second)), (vec![true], vec![false]));
}

#[test]
fn a_budget_has_room_for_at_least_one_full_outbox() {
    let options = ServerOptions::default().max_buffered(0);
    let budget = Budget::new(&options, ServerStats::default());
    let fakes = stalled(&budget, 2, options.connection.high_water_mark / 3);
    budget.enforce();
    assert_eq!(evicted(&fakes), [false; 2]);
}

#[test]
fn a_frame_that_many_outboxes_share_counts_once() {
    let budget = budget(0);
    let message = PreparedMessage::new(&[7; 1_000_000]);
    let fakes: Vec<_> = (0..100).map(|_| Arc::new(Fake::default())).collect();
    for fake in &fakes {
        fake.append(&message);
        fake.stall(&budget);
    }
    let held = budget.stats.buffered();
    assert!((1_000_000..1_100_000).contains(&held), "{held} bytes");
    fakes[1..].iter().for_each(|fake| fake.advance(message.frame().len()));
    fakes[1..].iter().for_each(|fake| fake.queue.lock().unwrap().clear());
    assert!(budget.stats.buffered() > 1_000_000, "one outbox still holds the frame");
    drop(fakes);
    assert_eq!(budget.stats.buffered(), 0);
}

#[test]
fn memory_counts_until_freed_even_after_its_bytes_are_written() {
    let budget = budget(0);
    let fake = Arc::new(Fake::default());
    fake.queue.lock().unwrap().buffer().resize(100_000, 7);
    fake.stall(&budget);
    fake.advance(99_999);
    assert!(budget.stats.buffered() > 100_000, "{}", budget.stats.buffered());
}

#[test]
fn a_stalled_outbox_moves_few_bytes_to_a_small_buffer() {
    let budget = budget(0);
    let fake = Arc::new(Fake::default());
    fake.queue.lock().unwrap().buffer().resize(100_000, 7);
    fake.advance(99_999);
    fake.stall(&budget);
    let held = budget.stats.buffered() as usize;
    assert!(held < STALLED_OVERHEAD + 100, "{held} bytes");
    assert_eq!(fake.queue.lock().unwrap().contiguous(), Some(&[7][..]));
}

/// Returns the memory that the budget should count: all outboxes that have an entry, and each of their frames once.
fn recounted(fakes: &[Arc<Fake>]) -> usize {
    let (mut sum, mut frames) = (0, Vec::<FrameBytes>::new());
    for fake in fakes {
        let queue = fake.queue.lock().unwrap();
        if queue.budget_entry().is_some() {
            sum += STALLED_OVERHEAD + queue.capacity();
            frames.extend(queue.frames().cloned());
        }
    }
    frames.sort_by_key(FrameBytes::location);
    frames.dedup_by_key(|frame| frame.location());
    sum + frames.iter().map(cost).sum::<usize>()
}

#[test]
fn the_count_is_exact_after_any_sequence_of_operations() {
    let (budget, mut rng) = (budget(usize::MAX), Rng::with_seed(7));
    let whole = Bytes::from(vec![7; 1_000]);
    let fakes: Vec<_> = (0..5).map(|_| Arc::new(Fake::default())).collect();
    for _ in 0..20_000 {
        let fake = rng.choice(&fakes).unwrap();
        let message = PreparedMessage::new(&vec![7; rng.usize(0..2_000)]);
        // Parts of the same bytes, some of which begin at the same address.
        let part = whole.slice(rng.choice([0, 1]).unwrap()..rng.choice([500, 1_000]).unwrap());
        match rng.u8(0..10) {
            0 => fake.append(&message),
            1 => fakes.iter().for_each(|fake| fake.append(&message)),
            2 => fake.stall(&budget),
            3 => drop(fake.queue.lock().unwrap().drop_oldest()),
            4 if rng.u8(0..8) == 0 => fake.queue.lock().unwrap().clear(),
            5 => fake.keep(part),
            6 => fakes.iter().for_each(|fake| fake.keep(part.clone())),
            7 => {
                let mut queue = fake.queue.lock().unwrap();
                let bytes = rng.usize(0..5_000);
                queue.reserve(bytes);
                queue.buffer().extend(std::iter::repeat_n(7, bytes));
            }
            _ => {
                let limit = fake.queue.lock().unwrap().len();
                fake.advance(rng.usize(0..=limit.min(6_000)));
            }
        }
        assert_eq!(budget.stats.buffered() as usize, recounted(&fakes));
    }
    drop(fakes);
    let account = budget.lock();
    assert!(account.stalled.is_empty() && account.frames.is_empty() && account.held == 0);
}

#[test]
fn the_overhead_constants_cover_the_actual_sizes() {
    assert!(
        size_of::<SendQueue>() + size_of::<BudgetEntry>() + size_of::<u64>() * 3 < STALLED_OVERHEAD
    );
    assert!(size_of::<FrameBytes>() + size_of::<((usize, usize), usize)>() < FRAME_OVERHEAD);
}
