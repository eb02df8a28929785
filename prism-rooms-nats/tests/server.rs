//! [`Server`]: a server in memory that does what a backplane needs of NATS, or something else.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use async_channel::{Receiver, Sender, unbounded};
use futures_lite::{AsyncReadExt, AsyncWriteExt, io};
use prism_driver::Runtime;
use prism_rooms::{Cluster, ClusterEvent};
use prism_rooms_nats::Nats;
use prism_test::{PipeEnd, Sim};

/// Where the server listens.
pub(crate) const ADDRESS: SocketAddr = SocketAddr::new(
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), // for documentation (RFC 5737)
    4222,
);

/// Returns the address of another server.
pub(crate) fn address(host: u8) -> SocketAddr {
    ([192, 0, 2, host], 4222).into()
}

/// What a server says instead of what NATS would: after a line, or nothing. The first line of a connection is empty: the
/// server speaks first.
type Strange = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Server {
    sim: Sim,
    strange: Strange,
    subscriptions: Arc<Mutex<Vec<Subscription>>>,
}

struct Subscription {
    subject: String,
    id: String,
    /// Where its messages go.
    said: Sender<Vec<u8>>,
}

impl Server {
    /// Starts a server at [`ADDRESS`]. Where `strange` returns something for a line, the server says that and does nothing
    /// else.
    pub(crate) fn start(
        sim: &Sim,
        strange: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let server =
            Self { sim: sim.clone(), strange: Arc::new(strange), subscriptions: Arc::default() };
        server.clone().listen(ADDRESS);
        server
    }

    /// Starts another server of the same NATS cluster.
    pub(crate) fn start_another(
        &self,
        address: SocketAddr,
        strange: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) {
        Self { strange: Arc::new(strange), ..self.clone() }.listen(address);
    }

    fn listen(self, address: SocketAddr) {
        let listener = self.sim.listener(&[address]);
        self.sim.clone().spawn(async move {
            loop {
                let stream = listener.accept().await.stream;
                self.sim.spawn(self.clone().serve(stream));
            }
        });
    }

    async fn serve(self, stream: PipeEnd) {
        let (reader, writer) = io::split(stream);
        let (said, to_say) = unbounded();
        self.sim.spawn(write(writer, to_say));
        let mut reader = io::BufReader::new(reader);
        let mut line = String::new();
        loop {
            let words: Vec<&str> = line.split_whitespace().collect();
            let payload = match words[..] {
                ["PUB", _, len] => read_payload(&mut reader, len).await,
                _ => Vec::new(),
            };
            let reply = match (self.strange)(line.trim_end()) {
                Some(reply) => reply,
                None => self.reply(&words, &payload, &said).to_owned(),
            };
            let _ = said.send(reply.into_bytes()).await;
            line.clear();
            match io::AsyncBufReadExt::read_line(&mut reader, &mut line).await {
                Ok(1..) => {}
                _ => return,
            }
        }
    }

    fn reply(&self, words: &[&str], payload: &[u8], said: &Sender<Vec<u8>>) -> &'static str {
        let mut subscriptions = self.subscriptions.lock().unwrap();
        match *words {
            [] => return "INFO {\"server_name\":\"a\",\"max_payload\":1048576}\r\n",
            ["PING"] => return "PONG\r\n",
            ["CONNECT", _] | ["PONG"] => {}
            ["SUB", subject, id] => subscriptions.push(Subscription {
                subject: subject.to_owned(),
                id: id.to_owned(),
                said: said.clone(),
            }),
            ["UNSUB", id] => {
                subscriptions.retain(|other| other.id != id || !other.said.same_channel(said));
            }
            ["PUB", subject, _] => {
                for Subscription { id, said, .. } in
                    subscriptions.iter().filter(|other| other.subject == subject)
                {
                    let _ = said.try_send(message(subject, id, payload));
                }
            }
            _ => panic!("{words:?}"),
        }
        ""
    }
}

/// Returns a message of a subscription.
pub(crate) fn message(subject: &str, subscription: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("MSG {subject} {subscription} {}\r\n", payload.len()).into_bytes();
    message.extend(payload);
    message.extend(b"\r\n");
    message
}

/// Returns the payload of this length, without its line break.
async fn read_payload(reader: &mut (impl io::AsyncBufRead + Unpin), len: &str) -> Vec<u8> {
    let len: usize = len.parse().expect("a length");
    let mut payload = vec![0; len + 2];
    let _ = reader.read_exact(&mut payload).await; // fails if the client is gone
    payload.truncate(len);
    payload
}

async fn write(mut writer: io::WriteHalf<PipeEnd>, to_say: Receiver<Vec<u8>>) {
    while let Ok(bytes) = to_say.recv().await {
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Starts a node with the server as its backplane.
pub(crate) fn node(sim: &Sim) -> Cluster {
    node_of(sim, &format!("nats://ann:secret@{ADDRESS}"))
}

/// Starts a node with the servers of these URLs as its backplane.
pub(crate) fn node_of(sim: &Sim, urls: &str) -> Cluster {
    Cluster::new(sim.clone(), Nats::new(sim.clone(), urls).expect("URLs"))
}

/// Returns why a node cannot use a server.
pub(crate) fn refused(strange: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> String {
    let sim = Sim::new();
    Server::start(&sim, strange);
    sim.run(connect_failed(&node(&sim)))
}

/// Waits until a node cannot connect, and returns why.
pub(crate) async fn connect_failed(cluster: &Cluster) -> String {
    let events = cluster.events();
    loop {
        match events.recv().await.expect("a node that has not left") {
            ClusterEvent::ConnectFailed { reason } => return reason,
            event => assert!(!matches!(event, ClusterEvent::Connected), "{event:?}"),
        }
    }
}
