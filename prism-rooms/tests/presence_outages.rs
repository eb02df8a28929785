//! Presence across nodes that crash, leave, pause, lose their connections, or have very many people.

use prism_driver::Runtime;
use prism_rooms::PresenceOptions;

use crate::presence_cluster::{MILLISECOND, SECOND, World};

#[test]
fn the_people_of_a_node_that_crashes_leave_once_within_eight_seconds() {
    for offset in 0..8 {
        let world = World::new(3);
        world.sim.run(async {
            let mut view = world.watch(0);
            let _people = (world.connect(1, "ada").await, world.connect(1, "ben").await);
            let _eve = world.connect(2, "eve").await;
            view.wait_for(&world, 3).await;
            world.sim.pass(offset * 250 * MILLISECOND).await;
            world.nodes[1].backplane.isolate();
            let took = view.wait_for(&world, 1).await;
            assert!((4 * SECOND..=15 * SECOND / 2).contains(&took), "{took:?}");
            world.sim.pass(60 * SECOND).await;
            view.update().await;
            assert_eq!((view.left, world.list(0)), (2, vec!["eve: fine".to_owned()]));
        });
    }
}

#[test]
fn the_people_of_a_node_that_leaves_leave_at_once_and_stay_there() {
    let world = World::new(2);
    world.sim.run(async {
        let _people = (world.connect(0, "ada").await, world.connect(1, "ben").await);
        let mut views = [world.watch(0), world.watch(1)];
        views[0].wait_for(&world, 2).await;
        views[1].wait_for(&world, 2).await;
        let began = world.sim.now();
        world.nodes[1].cluster.leave().await;
        views[0].wait_for(&world, 1).await;
        assert!(world.sim.now() - began <= 200 * MILLISECOND, "{:?}", world.sim.now() - began);
        views[1].wait_for(&world, 1).await;
        assert_eq!([world.list(0), world.list(1)], [["ada: fine"], ["ben: fine"]]);
        let _eve = world.connect(1, "eve").await;
        assert_eq!(world.list(1), ["ben: fine", "eve: fine"], "it goes on alone");
    });
}

#[test]
fn a_partition_withdraws_the_people_of_the_other_side_and_they_come_back() {
    let world = World::new(3);
    world.sim.run(async {
        let _people = (
            world.connect(0, "ada").await,
            world.connect(1, "ben").await,
            world.connect(2, "eve").await,
        );
        let mut view = world.watch(0);
        view.wait_for(&world, 3).await;
        let began = world.sim.now();
        world.nodes[0].backplane.isolate();
        view.wait_for(&world, 1).await;
        let took = world.sim.now() - began;
        assert!((11 * SECOND..=16 * SECOND).contains(&took), "{took:?}");
        assert_eq!(world.list(1), ["ben: fine", "eve: fine"]);
        world.sim.pass(60 * SECOND).await;
        let _dan = world.connect(0, "dan").await;
        let began = world.sim.now();
        world.nodes[0].backplane.rejoin();
        let mut there = world.watch(1);
        there.wait_for(&world, 4).await;
        view.wait_for(&world, 4).await;
        let took = world.sim.now() - began;
        assert!(took <= 5 * SECOND, "{took:?}");
        world.sim.pass(60 * SECOND).await;
        assert_eq!(world.list(2), ["ada: fine", "ben: fine", "dan: fine", "eve: fine"]);
    });
}

#[test]
fn those_who_are_present_may_change_although_two_sides_have_more_than_the_limits_together() {
    let options = PresenceOptions::default().max_people_per_room(2).max_connections_per_person(1);
    let world = World::with_options(2, options);
    world.sim.run(async {
        world.nodes[1].backplane.isolate();
        world.sim.pass(20 * SECOND).await;
        let ada = world.connect(0, "ada").await;
        let ben = world.connect(0, "ben").await;
        let _others = (world.connect(1, "ada").await, world.connect(1, "eve").await);
        world.nodes[1].backplane.rejoin();
        world.sim.pass(5 * SECOND).await;
        assert_eq!(world.list(0), ["ada: fine, fine", "ben: fine", "eve: fine"]);
        ada.send("tired").await.unwrap();
        ben.send("tired").await.unwrap();
        world.sim.pass(SECOND).await;
        assert_eq!(world.list(0), ["ada: fine, tired", "ben: tired", "eve: fine"]);
        assert_eq!(world.list(0), world.list(1));
    });
}

#[test]
fn a_state_that_two_sides_make_too_large_together_may_shrink() {
    let options = PresenceOptions::default().max_state_size(300);
    let world = World::with_options(2, options);
    world.sim.run(async {
        world.nodes[1].backplane.isolate();
        world.sim.pass(20 * SECOND).await;
        let ada = world.connect(0, "ada").await;
        let _ben = world.connect(1, "ben").await;
        let long = "long".repeat(30);
        ada.send(&*long).await.unwrap();
        world.sim.settle().await;
        let _eve = world.connect(1, "eve").await;
        world.nodes[1].backplane.rejoin();
        world.sim.pass(5 * SECOND).await;
        assert_eq!(world.list(0), [&*format!("ada: {long}"), "ben: fine", "eve: fine"]);
        ada.send(&*long.to_uppercase()).await.unwrap();
        world.sim.pass(SECOND).await;
        assert_eq!(world.list(1)[0], format!("ada: {}", long.to_uppercase()), "as large");
        ada.send("fine").await.unwrap();
        world.sim.pass(SECOND).await;
        assert_eq!(world.list(1)[0], "ada: fine");
    });
}

#[test]
fn the_people_of_a_node_that_pauses_for_ten_seconds_leave_and_come_back_in_two() {
    let world = World::new(2);
    world.sim.run(async {
        let _people = (world.connect(0, "ada").await, world.connect(1, "ben").await);
        let mut view = world.watch(0);
        view.wait_for(&world, 2).await;
        let paused = world.sim.now();
        world.nodes[1].backplane.isolate();
        view.wait_for(&world, 1).await;
        world.sim.pass(10 * SECOND - (world.sim.now() - paused)).await;
        world.nodes[1].backplane.rejoin();
        let took = view.wait_for(&world, 2).await;
        assert!(took <= 2 * SECOND, "{took:?}");
        assert_eq!(world.list(1), ["ada: fine", "ben: fine"], "for it, nothing has happened");
    });
}

#[test]
fn what_is_lost_shows_with_the_next_heartbeat() {
    let world = World::new(2);
    world.sim.run(async {
        let mut view = world.watch(0);
        let ada = world.connect(1, "ada").await;
        view.wait_for(&world, 1).await;
        let lose_what_is_published_now = async || {
            let backplane = &world.nodes[0].backplane;
            backplane.lose(usize::MAX);
            world.sim.pass(30 * MILLISECOND).await;
            backplane.lose(0);
        };
        drop(ada);
        lose_what_is_published_now().await;
        let took = view.wait_for(&world, 0).await;
        assert!(took <= 3 * SECOND, "{took:?}");
        let _ben = world.connect(1, "ben").await;
        lose_what_is_published_now().await;
        let took = view.wait_for(&world, 1).await;
        assert!(took <= 3 * SECOND, "{took:?}");
    });
}

#[test]
fn five_thousand_people_in_a_room() {
    let options = PresenceOptions::default().max_people_per_room(10_000).max_state_size(10 << 20);
    let world = World::with_options(3, options);
    world.sim.run(async {
        let mut people = Vec::new();
        for n in 0..5000 {
            let url = format!("ws://node{}.example/person{n}", n % 2);
            people.push(world.sim.client(&url).connect().await.unwrap());
        }
        let began = world.sim.now();
        let mut view = world.watch(2);
        view.wait_for(&world, 5000).await;
        assert!(world.sim.now() - began <= 2 * SECOND, "{:?}", world.sim.now() - began);
        assert_eq!([0, 1].map(|node| world.nodes[node].presence.count("tea")), [5000, 5000]);
        people.truncate(10);
        view.wait_for(&world, 10).await;
        assert_eq!(world.nodes[0].cluster.counts().unpublished, 0);
        assert_eq!(world.list(0), world.list(2));
    });
}
