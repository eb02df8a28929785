//! [`check_seeds`]: runs a simulation with many seeds, on all cores.

use std::{
    num::NonZero,
    ops::{AddAssign, Range},
    panic::{self, AssertUnwindSafe},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
};

/// Runs a simulation with each seed, on all cores, and returns the sum of what has happened. If the environment
/// variable `PRISM_SEED` is set, runs only that seed, and returns `None`: one seed need not try everything.
///
/// # Panics
/// If the simulation does, or if `PRISM_SEED` is not a number. The seed is printed.
pub(crate) fn check_seeds<T: AddAssign + Default + Send>(
    seeds: Range<u64>,
    run: impl Fn(u64) -> T + Sync,
) -> Option<T> {
    if let Ok(seed) = std::env::var("PRISM_SEED") {
        let seed = seed.parse().unwrap_or_else(|error| panic!("PRISM_SEED: {error}"));
        run(seed);
        return None;
    }
    let next = AtomicU64::new(seeds.start);
    let run_next = || {
        let mut sum = T::default();
        while let Some(seed) = Some(next.fetch_add(1, Relaxed)).filter(|seed| seeds.contains(seed))
        {
            match panic::catch_unwind(AssertUnwindSafe(|| run(seed))) {
                Ok(happened) => sum += happened,
                Err(panic) => {
                    eprintln!("PRISM_SEED={seed}");
                    next.store(seeds.end, Relaxed); // the other threads stop
                    panic::resume_unwind(panic);
                }
            }
        }
        sum
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let mut sum = T::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run_next)).collect();
        for thread in threads {
            sum += thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        }
    });
    Some(sum)
}
