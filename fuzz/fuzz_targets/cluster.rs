//! A node of a cluster, with a backplane that delivers any bytes, and what the node has published itself, with changes,
//! as if from other nodes, and that replies anything to the node's history. Nothing panics, and the node goes on: it
//! connects again, subscribes, and its members receive what it sends and appends, unless what arrived has closed them.
//! A client of the history receives nothing twice, and learns of all that is missing. A watcher of presence sees the
//! people that are listed, and once the node has left, those of other nodes are gone.
#![no_main]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arbitrary::Arbitrary;
use bytes::Bytes;
use futures_lite::future::poll_once;
use libfuzzer_sys::fuzz_target;
use prism_driver::{Connection, Handler, Message, Options};
use prism_fuzz::{
    backplane::{Answer, AnyBackplane, Control, Event, Place},
    history_client::{CUP, HistoryClient},
};
use prism_rooms::{Change, Cluster, Presence, Rooms, Watch};
use prism_test::{Peer, Received, Sim};

#[derive(Arbitrary, Debug)]
enum Act {
    /// Delivers these bytes.
    Bytes(Vec<u8>),
    /// Delivers what the node has published, as if from another node.
    Published {
        index: u8,
        origin: u8,
        number: u16,
        changes: Vec<(u16, u8)>,
    },
    Send {
        room: u8,
        len: u16,
    },
    SendToBoth,
    SendToAll,
    /// Tracks the connection as this person, or untracks it.
    Track {
        room: u8,
        person: Option<u8>,
        mood: u16,
    },
    /// Watches the room, or stops.
    Watch {
        room: u8,
    },
    Pass {
        tenths: u8,
    },
    EndSession,
    History(HistoryAct),
}

/// What happens to the history of a room.
#[derive(Arbitrary, Debug)]
enum HistoryAct {
    Append {
        len: u16,
    },
    /// Another client joins the room, perhaps with a position.
    Join {
        after: Option<Place>,
    },
    GiveUpJoining,
    Leave,
    /// Delivers a record, as if it had been kept: in the room, or in another one.
    Kept {
        elsewhere: bool,
        at: Place,
        record: Vec<u8>,
    },
    /// Answers the next command of the history in this way.
    AnswerNext(Answer),
    /// Answers a command again, or one of another session.
    Reply {
        which: u8,
        answer: Answer,
    },
    LoseMessages,
    /// A message is kept that does not arrive.
    Miss,
    /// Loses all but the last few messages.
    Trim {
        kept: u8,
    },
}

impl HistoryAct {
    fn run(self, control: &Control, client: &mut HistoryClient) {
        match self {
            Self::Append { len } => client.append(len),
            Self::Join { after } => client.join(after.map(|place| control.position(CUP, place))),
            Self::GiveUpJoining => client.give_up_joining(),
            Self::Leave => client.leave(),
            Self::Kept { elsewhere, at, record } => {
                let room = if elsewhere { "tea" } else { CUP };
                control.deliver(Event::Payload(control.kept(room, at, &record)));
            }
            Self::AnswerNext(answer) => control.answers.lock().unwrap().push_back(answer),
            Self::Reply { which, answer } => control.deliver(Event::Reply(which, answer)),
            Self::LoseMessages => control.lose_messages(),
            Self::Miss => control.repeat_unpublished(CUP),
            Self::Trim { kept } => control.trim(CUP, kept % 4),
        }
    }
}

struct Chat(Rooms);

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        self.0.join(connection, "tea").unwrap();
        self.0.join(connection, "milk").unwrap();
    }

    async fn on_message(&self, _: &Connection, _: Message<'_>) {}
}

/// Returns what the node has published, with another origin and number, and further changes.
fn changed(payload: &Bytes, origin: u8, number: u16, changes: &[(u16, u8)]) -> Bytes {
    let mut bytes = payload.to_vec();
    bytes[2..10].copy_from_slice(&u64::from(origin).to_be_bytes());
    bytes[10..18].copy_from_slice(&u64::from(number).to_be_bytes());
    for (at, to) in changes {
        let at = usize::from(*at) % bytes.len();
        bytes[at] = *to;
    }
    bytes.into()
}

/// Receives what there is, so that the outbox has room, and pings are answered. What arrived may have closed the
/// connection.
async fn read_all(client: &mut Peer) {
    while let Some(received) = poll_once(client.next()).await {
        if matches!(received, Received::Close(..) | Received::End(_)) {
            break;
        }
    }
}

/// What a watcher knows: the connections of each person.
#[derive(Default)]
struct View {
    watch: Option<Watch<u16>>,
    people: BTreeMap<String, Vec<u16>>,
}

impl View {
    /// Watches a room, or stops.
    fn toggle(&mut self, presence: &Presence<u16>, room: &str) {
        self.watch = if self.watch.is_none() { Some(presence.watch_here(room)) } else { None };
    }

    /// Receives what there is.
    async fn update(&mut self) {
        while let Some(watch) = &self.watch
            && let Some(change) = poll_once(watch.recv()).await
        {
            let change = change.expect("presence goes on");
            let (people, updated, left) = match &*change {
                Change::State { people, .. } => {
                    self.people.clear();
                    (&people[..], &[][..], &[][..])
                }
                Change::Diff { joined, updated, left, .. } => {
                    (&joined[..], &updated[..], &left[..])
                }
                _ => unreachable!("there are two kinds"),
            };
            for key in left {
                assert!(self.people.remove(&**key).is_some(), "{key} was not there");
            }
            for person in people {
                let before = self.people.insert(person.key.to_string(), moods(person));
                assert!(before.is_none(), "{} was there", person.key);
            }
            for person in updated {
                let before = self.people.insert(person.key.to_string(), moods(person));
                assert!(before.is_some(), "{} was not there", person.key);
            }
        }
    }

    /// Compares what the watcher knows with the list.
    fn check(&self, presence: &Presence<u16>, room: &str) {
        let list = presence.list(room);
        assert_eq!(list.len(), presence.count(room));
        if self.watch.is_some() {
            let listed = list.iter().map(|person| (person.key.to_string(), moods(person)));
            assert_eq!(self.people, listed.collect());
        }
    }
}

fn moods(person: &prism_rooms::Person<u16>) -> Vec<u16> {
    assert!(!person.connections.is_empty());
    person.connections.iter().map(|connection| *connection.meta()).collect()
}

fuzz_target!(|acts: Vec<Act>| {
    let control = Arc::new(Control::new());
    let sim = Sim::new();
    let cluster = Cluster::new(sim.clone(), AnyBackplane(control.clone()));
    let rooms = cluster.rooms();
    let presence = Presence::<u16>::on(&cluster, "status");
    let mut views = ["tea", "milk"].map(|room| (room, View::default()));
    let (mut client, _faults) = sim.serve(Chat(rooms.clone()), Options::default());
    let mut history = HistoryClient::connect(&sim, &cluster);
    sim.run(async {
        sim.settle().await; // the client is a member now
        assert!(rooms.reached("tea").await && rooms.reached("milk").await);
        let connection = rooms.one(rooms.members("tea")[0]).unwrap();
        let (mut delivered, mut ends, mut has_history) = (0, 0, false);
        for act in acts {
            match act {
                Act::Bytes(bytes) => {
                    control.deliver(Event::Payload(bytes.into()));
                    delivered += 1;
                }
                Act::Published { index, origin, number, changes } => {
                    let published = control.published.lock().unwrap();
                    let payload = &published[usize::from(index) % published.len()];
                    let payload = changed(payload, origin, number, &changes);
                    control.deliver(Event::Payload(payload));
                    delivered += 1;
                }
                Act::Send { room, len } => {
                    let room = ["tea", "milk", "wine"][usize::from(room) % 3];
                    let _ = rooms.to(room).send("x".repeat(len.into()));
                }
                Act::SendToBoth => {
                    let _ = rooms.to("tea").and("milk").send(vec![0xff; 10]);
                }
                Act::SendToAll => {
                    let _ = rooms.everyone().send("all");
                }
                Act::Track { room, person, mood } => {
                    let (room, _) = views[usize::from(room) % 2];
                    match person {
                        Some(person) => {
                            // Fails if what arrived has closed the connection.
                            let _ = presence.track(&connection, room, &person.to_string(), mood);
                        }
                        None => drop(presence.untrack(connection.id(), room)),
                    }
                }
                Act::Watch { room } => {
                    let (room, view) = &mut views[usize::from(room) % 2];
                    view.toggle(&presence, room);
                }
                Act::Pass { tenths } => {
                    sim.pass(Duration::from_millis(100) * tenths.into()).await;
                }
                Act::EndSession => {
                    control.deliver(Event::End);
                    ends += 1;
                }
                Act::History(act) => {
                    has_history = true;
                    delivered += u64::from(matches!(act, HistoryAct::Kept { .. }));
                    act.run(&control, &mut history);
                }
            }
            sim.settle().await;
            for (_, view) in &mut views {
                view.update().await;
            }
            history.update().await;
            read_all(&mut client).await;
        }
        // Each end may hit a session that has just begun, and the next begins within 2 s.
        let mut span = Duration::from_secs(10 + 3 * ends);
        if has_history {
            // From now on the backplane works. What it has not answered ends with the session, and each room is read
            // within 20 s.
            control.answers.lock().unwrap().clear();
            control.deliver(Event::End);
            span += Duration::from_secs(25);
        }
        for _ in 0..span.as_secs().div_ceil(5) {
            sim.pass(Duration::from_secs(5)).await;
            read_all(&mut client).await;
        }
        let counts = cluster.counts();
        assert!(counts.connected, "{counts:?}");
        // Heartbeats, and what comes from this node, are none of these.
        assert!(counts.received + counts.repeated + counts.refused <= delivered, "{counts:?}");
        history.finish().await;
        if !rooms.is_empty("tea") {
            assert!(rooms.reached("tea").await);
            let _ = rooms.to("tea").send("the end");
            loop {
                match client.next().await {
                    Received::Text(text) if text == "the end" => break,
                    Received::Text(_) | Received::Binary(_) | Received::Ping => {}
                    other => panic!("it is open: {other:?}"),
                }
            }
        }
        for (room, view) in &mut views {
            view.update().await;
            view.check(&presence, room);
        }
        cluster.leave().await;
        sim.settle().await;
        for (room, _) in views {
            let people = presence.list(room);
            let connections = people.iter().flat_map(|person| &person.connections);
            assert!(connections.into_iter().all(|connection| connection.node().is_none()));
        }
    });
    sim.drop_tasks();
});
