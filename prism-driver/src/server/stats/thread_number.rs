//! A number for each thread that counts, which no other running thread has.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The numbers to give to threads, the least one first. Only threads with low numbers have counters of their own, so
/// they must not be left unused after many threads have ended.
struct Numbers {
    /// The least number that no thread has had.
    next: usize,
    /// The numbers of threads that have ended.
    returned: BinaryHeap<Reverse<usize>>,
}

static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers::new());

/// The number of a running thread, which another one gets when this has ended.
struct ThreadNumber(usize);

thread_local! {
    static OWN: ThreadNumber = ThreadNumber::take();
}

/// Returns the number of this thread, or `None` while it ends. What a thread does before it gives its number back
/// happens before whatever the next thread with this number does.
#[inline]
pub(super) fn own() -> Option<usize> {
    OWN.try_with(|own| own.0).ok()
}

impl ThreadNumber {
    fn take() -> Self {
        Self(lock().take())
    }
}

impl Drop for ThreadNumber {
    fn drop(&mut self) {
        lock().give_back(self.0);
    }
}

impl Numbers {
    const fn new() -> Self {
        Self { next: 0, returned: BinaryHeap::new() }
    }

    /// Takes the least number that is free.
    fn take(&mut self) -> usize {
        if let Some(Reverse(number)) = self.returned.pop() {
            return number;
        }
        self.next += 1;
        self.next - 1
    }

    fn give_back(&mut self, number: usize) {
        self.returned.push(Reverse(number));
    }
}

fn lock() -> MutexGuard<'static, Numbers> {
    NUMBERS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Barrier, thread};

    use super::{Numbers, own};

    #[test]
    fn the_least_free_number_is_taken_first() {
        let mut numbers = Numbers::new();
        assert!((0..200).all(|expected| numbers.take() == expected));
        for number in [7, 150, 3, 180] {
            numbers.give_back(number);
        }
        assert_eq!([(); 5].map(|()| numbers.take()), [3, 7, 150, 180, 200]);
    }

    #[test]
    fn running_threads_have_different_numbers_and_those_of_ended_threads_are_used_again() {
        const THREADS: usize = 8;
        let numbers = || {
            let all_have_theirs = Barrier::new(THREADS);
            let take = || {
                let number = own();
                all_have_theirs.wait();
                number
            };
            thread::scope(|scope| {
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(take)).collect();
                threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
            })
        };
        let rounds: Vec<HashSet<Option<usize>>> = (0..50).map(|_| numbers()).collect();
        assert!(rounds.iter().all(|numbers| numbers.len() == THREADS));
        let ever_used: HashSet<_> = rounds.into_iter().flatten().collect();
        // Other tests run in threads, too.
        assert!(ever_used.len() < 20 * THREADS, "{} numbers", ever_used.len());
    }
}
