//! The clock and the tasks of a simulation.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use prism_driver::{Options, Runtime};
use prism_test::{Recorder, Sim};

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
