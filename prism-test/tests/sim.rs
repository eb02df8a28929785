//! The clock and the tasks of a simulation.

use std::{
    cell::Cell,
    future::{Future, pending, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures_lite::future::{yield_now, zip};
use prism_driver::{Options, Runtime};
use prism_test::{Recorder, Sim, Sleep};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn the_clock_jumps_from_timer_to_timer() {
    let (sim, log) = (Sim::new(), Arc::new(Mutex::new(Vec::new())));
    for hours in [3, 1, 2] {
        let (sim, log) = (sim.clone(), log.clone());
        sim.clone().spawn(async move {
            sim.sleep(hours * HOUR).await;
            log.lock().unwrap().push((hours, sim.now()));
        });
    }
    sim.run(sim.pass(2 * HOUR));
    assert_eq!(*log.lock().unwrap(), [(1, HOUR), (2, 2 * HOUR)]);
}

#[test]
fn the_clock_stands_still_while_a_task_can_run() {
    let sim = Sim::new();
    sim.run(async {
        let timer = sim.sleep(HOUR);
        sim.settle().await;
        assert_eq!(sim.now(), Duration::ZERO);
        timer.await;
        assert_eq!(sim.now(), HOUR);
    });
}

/// There is no task and no timer yet when the test lets others run.
#[test]
fn the_first_timer_may_start_after_a_yield() {
    for yields in 0..4 {
        let sim = Sim::new();
        sim.run(async {
            for _ in 0..yields {
                yield_now().await;
            }
            sim.sleep(HOUR).await;
        });
        assert_eq!(sim.now(), HOUR);
    }
}

/// The one that waits is polled before what it waits for happens.
#[test]
fn a_test_may_wait_for_itself() {
    let (sim, is_due) = (Sim::new(), Cell::new(false));
    let waiting = async {
        poll_fn(|_| if is_due.get() { Poll::Ready(()) } else { Poll::Pending }).await;
        sim.sleep(HOUR).await;
    };
    sim.run(zip(waiting, async { is_due.set(true) }));
    assert_eq!(sim.now(), HOUR);
}

#[test]
#[should_panic(expected = "livelock at 0ns")]
fn a_test_that_never_waits_for_anything_fails() {
    Sim::new().run(async {
        loop {
            yield_now().await;
        }
    });
}

#[test]
#[should_panic(expected = "deadlock at 0ns")]
fn a_test_that_waits_for_nothing_fails() {
    Sim::new().run(pending::<()>());
}

#[test]
#[should_panic(expected = "a day has passed")]
fn a_test_that_waits_in_vain_fails_although_there_are_timers() {
    let sim = Sim::new();
    let (_peer, _) = sim.serve(Recorder::new(), Options::default()); // its keepalive has timers
    sim.spawn({
        let sim = sim.clone();
        async move {
            loop {
                sim.sleep(HOUR).await;
            }
        }
    });
    sim.run(pending::<()>());
}

#[test]
#[should_panic(expected = "a day has passed")]
fn a_test_lasts_less_than_a_day() {
    let sim = Sim::new();
    sim.run(sim.pass(23 * HOUR));
    sim.run(sim.pass(HOUR));
}

#[test]
#[should_panic(expected = "livelock at 0ns")]
fn tasks_that_never_settle_fail_the_test() {
    let sim = Sim::new();
    sim.spawn(async {
        loop {
            yield_now().await;
        }
    });
    sim.run(sim.settle());
}

/// A waker of a task that owns a timer.
struct Owner(#[expect(dead_code, reason = "dropped with the waker")] Sleep);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_own_another_timer() {
    let sim = Sim::new();
    let replace = |mut timer: Sleep| poll(&mut timer, Waker::noop());
    for free in [drop as fn(Sleep), replace] {
        let mut timer = sim.sleep(HOUR);
        poll(&mut timer, &Waker::from(Arc::new(Owner(sim.sleep(HOUR)))));
        free(timer);
    }
    assert_eq!(sim.now(), Duration::ZERO); // and the clock can be read
}

fn poll(timer: &mut Sleep, waker: &Waker) {
    assert!(Pin::new(timer).poll(&mut Context::from_waker(waker)).is_pending());
}

#[test]
fn dropped_tasks_run_the_hooks_of_their_connections() {
    let (sim, recorder) = (Sim::new(), Recorder::new());
    let (_peer, faults) = sim.serve(recorder.clone(), Options::default());
    sim.run(sim.settle());
    let ended = Arc::new(Mutex::new(false));
    let hook = ended.clone();
    recorder.connections()[0].on_end(move || *hook.lock().unwrap() = true);
    sim.drop_tasks();
    assert!(*ended.lock().unwrap() && faults.dropped_by_server());
    sim.run(sim.pass(HOUR)); // the simulation can be used again
}
