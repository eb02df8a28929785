//! Nodes of a cluster on several threads, in real time.

use std::{collections::HashMap, time::Duration};

use prism_driver::Runtime;
use prism_rooms::{Cluster, MemoryBroker, Rooms};
use prism_tokio::Tokio;
use tokio::{task::spawn_blocking, time::timeout};

use crate::common::TestClient;

/// How long the scenario may take before it fails. It bounds a deadlock; nothing is measured by it.
const TIMEOUT: Duration = Duration::from_secs(60);

const NODES: usize = 3;
const MESSAGES: usize = 500;

/// Tokio, with a clock so slow that nothing is too late on a busy machine.
#[derive(Clone)]
struct SlowClock;

const SLOWNESS: u32 = 100;

impl Runtime for SlowClock {
    type Sleep = <Tokio as Runtime>::Sleep;

    fn now(&self) -> Duration {
        Tokio.now() / SLOWNESS
    }

    fn sleep(&self, span: Duration) -> Self::Sleep {
        Runtime::sleep(&Tokio, span.saturating_mul(SLOWNESS))
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        Runtime::spawn(&Tokio, future);
    }
}

/// Sends numbered messages, while another room comes and goes.
fn send_many(rooms: &Rooms, sender: usize, visitor: &TestClient) {
    for n in 0..MESSAGES {
        if n % 2 == 0 {
            rooms.join(&visitor.connection, "milk").unwrap();
        }
        rooms.to("tea").send(format!("{sender} {n}"));
        if n % 2 == 1 {
            assert!(rooms.leave(visitor.connection.id(), "milk"));
        }
    }
}

/// Receives all messages: those of each sender in their order.
async fn receive_all(client: TestClient) {
    let mut next = HashMap::new();
    for _ in 0..2 * NODES * MESSAGES {
        let text = client.recv_text().await;
        let (sender, n) = text.split_once(' ').expect("it is from `send_many`");
        let expected = next.entry(sender.to_owned()).or_insert(0);
        assert_eq!(n.parse(), Ok(*expected), "of sender {sender}");
        *expected += 1;
    }
    assert_eq!(next.len(), 2 * NODES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_at_all_nodes_send_at_once_and_all_arrives_in_order() {
    let scenario = async {
        let broker = MemoryBroker::new();
        let clusters = [(); NODES].map(|()| Cluster::new(SlowClock, broker.backplane()));
        let (mut receiving, mut sending) = (Vec::new(), Vec::new());
        for cluster in &clusters {
            let client = TestClient::new().await;
            cluster.rooms().join(&client.connection, "tea").unwrap();
            assert!(cluster.rooms().reached("tea").await);
            receiving.push(tokio::spawn(receive_all(client)));
        }
        for sender in 0..2 * NODES {
            let (rooms, visitor) = (clusters[sender / 2].rooms(), TestClient::new().await);
            sending.push(spawn_blocking(move || send_many(&rooms, sender, &visitor)));
        }
        for task in sending {
            task.await.unwrap();
        }
        for task in receiving {
            task.await.unwrap();
        }
        for cluster in clusters {
            let counts = cluster.counts();
            assert_eq!((counts.missed, counts.repeated, counts.refused), (0, 0, 0), "{counts:?}");
            cluster.leave().await;
        }
    };
    timeout(TIMEOUT, scenario).await.expect("it is done within a minute");
}
