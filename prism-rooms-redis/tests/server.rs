//! [`Server`]: a server in memory that does what a backplane needs of it, or something else. The tests of
//! `prism-rooms-nats` have it, too: what differs is in their `protocol.rs`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_channel::{Receiver, Sender, unbounded};
use futures_lite::{AsyncWriteExt, io};
use prism_driver::Runtime;
use prism_rooms::{Cluster, ClusterEvent};
use prism_test::{PipeEnd, Sim};

use crate::protocol::{Broker, PORT, SPEAKS_FIRST, URL, backplane, read_command};

/// Where the server listens.
pub(crate) const ADDRESS: SocketAddr = address(1);

/// What a server says instead of what it should say: after the words of a command, or nothing.
type Strange = Arc<dyn Fn(&[&str]) -> Option<Vec<u8>> + Send + Sync>;

/// One server, or several that pass messages on to each other.
#[derive(Clone)]
pub(crate) struct Server {
    sim: Sim,
    broker: Arc<Broker>,
}

impl Server {
    /// Starts a server at [`ADDRESS`]. Where `strange` returns something for the words of a command, the server says
    /// that and does nothing else.
    pub(crate) fn start(
        sim: &Sim,
        strange: impl Fn(&[&str]) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self::start_at(sim, ADDRESS, strange)
    }

    /// Starts a server at another address.
    pub(crate) fn start_at(
        sim: &Sim,
        address: SocketAddr,
        strange: impl Fn(&[&str]) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let server = Self { sim: sim.clone(), broker: Arc::default() };
        server.start_another(address, strange);
        server
    }

    /// Starts another server of the same cluster.
    pub(crate) fn start_another(
        &self,
        address: SocketAddr,
        strange: impl Fn(&[&str]) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) {
        let (server, strange): (_, Strange) = (self.clone(), Arc::new(strange));
        let listener = self.sim.listener(&[address]);
        self.sim.spawn(async move {
            loop {
                let (reader, writer) = io::split(listener.accept().await.stream);
                let (said, to_say) = unbounded();
                server.sim.spawn(write(writer, to_say));
                server.sim.spawn(server.clone().serve(reader, said, strange.clone()));
            }
        });
    }

    async fn serve(self, reader: io::ReadHalf<PipeEnd>, said: Sender<Vec<u8>>, strange: Strange) {
        let answer = |words: &[&str]| {
            let reply = strange(words).unwrap_or_else(|| self.broker.reply(words, &said));
            let _ = said.try_send(reply); // fails if the client is gone
        };
        if SPEAKS_FIRST {
            answer(&[""]);
        }
        let mut reader = io::BufReader::new(reader);
        while let Some(words) = read_command(&mut reader).await {
            answer(&words.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}

async fn write(mut writer: io::WriteHalf<PipeEnd>, to_say: Receiver<Vec<u8>>) {
    while let Ok(bytes) = to_say.recv().await {
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Says something instead of the replies to a command.
pub(crate) fn instead_of(
    command: &str,
    reply: &[u8],
) -> impl Fn(&[&str]) -> Option<Vec<u8>> + use<> {
    let (command, reply) = (command.to_owned(), reply.to_vec());
    move |words| (words[0] == command).then(|| reply.clone())
}

/// Starts a node with the server as its backplane.
pub(crate) fn node(sim: &Sim) -> Cluster {
    node_of(sim, URL)
}

/// Starts a node with what this URL names as its backplane.
pub(crate) fn node_of(sim: &Sim, url: &str) -> Cluster {
    Cluster::new(sim.clone(), backplane(sim, url))
}

/// Returns whether a node can use a server.
pub(crate) fn connects(
    strange: impl Fn(&[&str]) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> bool {
    let sim = Sim::new();
    Server::start(&sim, strange);
    let cluster = node(&sim);
    sim.run(sim.pass(Duration::from_secs(10)));
    cluster.counts().connected
}

/// Returns why a node cannot use a server.
pub(crate) fn refused(
    strange: impl Fn(&[&str]) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> String {
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

/// Returns the address of a server: one for documentation (RFC 5737).
pub(crate) const fn address(host: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), PORT)
}
