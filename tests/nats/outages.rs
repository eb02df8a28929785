//! Servers that restart with many rooms, and nodes that are cut off.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use futures_lite::future::or;
use prism_driver::{Connection, Socket};
use prism_rooms::{ClusterEvent, Presence};
use prism_tests::proxy::{Direction, Fault, Proxy, Script};

use crate::{
    engine::{self, nats_at},
    node::{Net, Node, next, pause, two_nodes},
};

/// Within what time all works again once the server answers.
const RECOVERY: Duration = Duration::from_secs(10);

/// How many rooms there are: a batch of subscriptions has 512.
const ROOMS: usize = 2_000;

/// Returns the handle of the only member of a room.
fn connection_of_member(node: &Node, room: &str) -> Connection {
    let id = node.rooms.members(room)[0];
    node.rooms.one(id).expect("the member")
}

/// Returns who is in the room, of all nodes.
fn people(presence: &Presence<()>) -> Vec<String> {
    presence.list("tea").iter().map(|person| person.key.to_string()).collect()
}

/// Waits until a node shows these people.
async fn shows<N: Net>(presence: &Presence<()>, expected: &[&str], within: Duration) {
    let began = Instant::now();
    while people(presence) != expected {
        assert!(began.elapsed() < within, "{:?}", people(presence));
        pause::<N>().await;
    }
}

/// Joins the room `tea` on both nodes, and tracks a person there at each. Returns the members, too.
async fn two_people<N: Net>(here: &Node, there: &Node) -> ([Socket; 2], [Presence<()>; 2]) {
    let members = [here.join::<N>("tea").await, there.join::<N>("tea").await];
    let presence = [here, there].map(|node| Presence::on(&node.cluster, "people"));
    for (node, (presence, name)) in
        [here, there].into_iter().zip(presence.iter().zip(["ann", "ben"]))
    {
        let connection = connection_of_member(node, "tea");
        presence.track(&connection, "tea", name, ()).expect("room");
    }
    for presence in &presence {
        shows::<N>(presence, &["ann", "ben"], RECOVERY).await;
    }
    (members, presence)
}

pub(crate) async fn all_rooms_and_people_are_back_after_a_restart<N: Net>(program: PathBuf) {
    let (mut broker, here, there) = two_nodes::<N>(program).await;
    let ([_ann, ben], presence) = two_people::<N>(&here, &there).await;
    let connection = connection_of_member(&there, "tea");
    for room in 0..ROOMS {
        there.rooms.join(&connection, &format!("room {room}")).expect("room");
    }
    broker.process.kill();
    for node in [&here, &there] {
        node.disconnected().await;
    }
    broker.process.start_again();
    let began = Instant::now();
    for node in [&here, &there] {
        node.reconnected().await;
    }
    for room in 0..ROOMS {
        assert!(there.rooms.reached(&format!("room {room}")).await);
    }
    for presence in &presence {
        shows::<N>(presence, &["ann", "ben"], RECOVERY).await;
    }
    assert!(began.elapsed() < RECOVERY, "{:?}", began.elapsed());
    for room in 0..ROOMS {
        here.rooms.to(&format!("room {room}")).send(room.to_string());
    }
    for room in 0..ROOMS {
        assert_eq!(next(&ben).await, room.to_string());
    }
    let counts = there.cluster.counts();
    assert_eq!((counts.missed, counts.repeated), (0, 0));
}

/// Starts a server, a node, and one behind a proxy. The proxy's first connection freezes when the server has sent
/// 50,000 bytes, and so do at once those that are opened in the time after that.
async fn cut_off<N: Net>(program: PathBuf, time: Duration) -> (engine::Broker, Proxy, Node, Node) {
    let broker = engine::start(program);
    let here = Node::on::<N>(&broker).await;
    let proxy = freezing_proxy(broker.process.address(), time);
    let there = Node::start::<N>(nats_at::<N>(&format!("nats://{}", proxy.address()))).await;
    here.meet::<N>().await;
    there.meet::<N>().await;
    (broker, proxy, here, there)
}

fn freezing_proxy(server: SocketAddr, time: Duration) -> Proxy {
    let freeze = Fault::Freeze(Duration::from_secs(120));
    let (mut connections, mut second) = (0, None);
    Proxy::in_front_of(server, move || {
        connections += 1;
        let script = Script::new(connections);
        if connections == 1 {
            script.with_fault(Direction::Down, 50_000, freeze)
        } else if second.get_or_insert_with(Instant::now).elapsed() < time {
            script.with_fault(Direction::Down, 0, freeze)
        } else {
            script
        }
    })
}

/// Sends numbered messages from one node to another until that is disconnected. Returns how many.
async fn send_until_disconnected<N: Net>(here: &Node, there: &Node) -> u64 {
    let mut sent = 0;
    let sending = async {
        loop {
            here.rooms.to("tea").send(format!("{sent} {}", "x".repeat(1000)));
            sent += 1;
            pause::<N>().await;
        }
    };
    let reason = or(there.disconnected(), sending).await;
    assert_eq!(reason, "what was published did not come back in time");
    sent
}

pub(crate) async fn what_a_node_misses_while_it_is_cut_off_is_reported<N: Net>(program: PathBuf) {
    let (_broker, _proxy, here, there) = cut_off::<N>(program, Duration::ZERO).await;
    let ben = there.join::<N>("tea").await;
    let sent = send_until_disconnected::<N>(&here, &there).await;
    there.reconnected().await;
    assert!(there.rooms.reached("tea").await);
    here.rooms.to("tea").send("end");
    let (mut received, mut last) = (0, None);
    while let Some((number, _)) = next(&ben).await.split_once(' ') {
        let number = Some(number.parse::<u64>().expect("a number"));
        assert!(number > last, "{number:?} after {last:?}");
        (received, last) = (received + 1, number);
    }
    assert!(received > 10 && received < sent, "{received} of {sent} have arrived");
    assert_eq!(there.cluster.counts().missed, sent - received);
    assert_eq!(here.cluster.counts().unpublished, 0);
}

/// The node hears nothing, and cannot open another connection, but its own members talk.
pub(crate) async fn a_node_that_is_cut_off_leaves_with_its_people<N: Net>(program: PathBuf) {
    let (_broker, _proxy, here, there) = cut_off::<N>(program, Duration::from_secs(8)).await;
    let ([_ann, ben], [presence, _there]) = two_people::<N>(&here, &there).await;
    send_until_disconnected::<N>(&here, &there).await;
    let node = there.cluster.node();
    shows::<N>(&presence, &["ann"], RECOVERY).await;
    here.event(|event| *event == ClusterEvent::NodeLeft { node }).await;
    there.rooms.to("tea").send("just us");
    while next(&ben).await != "just us" {}
    there.reconnected().await;
    here.event(|event| *event == ClusterEvent::NodeJoined { node }).await;
    shows::<N>(&presence, &["ann", "ben"], RECOVERY).await;
}
