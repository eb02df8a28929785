//! [`Server`]: a server in memory that does what a backplane needs of Redis, or something else.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use async_channel::{Receiver, Sender, unbounded};
use futures_lite::{AsyncReadExt, AsyncWriteExt, io};
use prism_driver::Runtime;
use prism_rooms::{Cluster, ClusterEvent};
use prism_rooms_redis::Redis;
use prism_test::{PipeEnd, Sim};

/// Where the server listens.
pub(crate) const ADDRESS: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), // for documentation (RFC 5737)
    6379,
);

/// What a server says instead of what Redis would: after the words of a command, or nothing.
type Strange = Arc<dyn Fn(&[&str]) -> Option<Vec<u8>> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Server {
    sim: Sim,
    strange: Strange,
    subscriptions: Arc<Mutex<Vec<Subscription>>>,
}

/// A channel, and where its messages go.
type Subscription = (String, Sender<Vec<u8>>);

impl Server {
    /// Starts a server at [`ADDRESS`]. Where `strange` returns something for the words of a command, that is the reply.
    pub(crate) fn start(
        sim: &Sim,
        strange: impl Fn(&[&str]) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) {
        Self::start_at(sim, ADDRESS, strange);
    }

    /// Starts a server at another address.
    pub(crate) fn start_at(
        sim: &Sim,
        address: SocketAddr,
        strange: impl Fn(&[&str]) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) {
        let server =
            Self { sim: sim.clone(), strange: Arc::new(strange), subscriptions: Arc::default() };
        let listener = sim.listener(&[address]);
        sim.spawn(async move {
            loop {
                let stream = listener.accept().await.stream;
                server.sim.spawn(server.clone().serve(stream));
            }
        });
    }

    async fn serve(self, stream: PipeEnd) {
        let (reader, writer) = io::split(stream);
        let (said, to_say) = unbounded();
        self.sim.spawn(write(writer, to_say));
        let mut reader = io::BufReader::new(reader);
        while let Some(words) = read_command(&mut reader).await {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let reply = (self.strange)(&words).unwrap_or_else(|| self.reply(&words, &said));
            let _ = said.send(reply).await;
        }
    }

    fn reply(&self, words: &[&str], said: &Sender<Vec<u8>>) -> Vec<u8> {
        let mut subscriptions = self.subscriptions.lock().unwrap();
        let confirm = |kind: &str| {
            let confirm = |channel: &&str| push(&[kind, channel, "1"]);
            words[1..].iter().flat_map(confirm).collect()
        };
        match words[0] {
            "HELLO" => b"%1\r\n+server\r\n+redis\r\n".to_vec(),
            "ROLE" => b"*3\r\n+master\r\n:0\r\n*0\r\n".to_vec(),
            "SUBSCRIBE" => {
                subscriptions
                    .extend(words[1..].iter().map(|word| ((*word).to_owned(), said.clone())));
                confirm("subscribe")
            }
            "UNSUBSCRIBE" => confirm("unsubscribe"),
            "PUBLISH" => {
                for (_, said) in subscriptions.iter().filter(|(channel, _)| channel == words[1]) {
                    let _ = said.try_send(push(&["message", words[1], words[2]]));
                }
                b":1\r\n".to_vec()
            }
            command => panic!("{command}"),
        }
    }
}

/// Returns a push with these strings, whose characters are bytes.
pub(crate) fn push(strings: &[&str]) -> Vec<u8> {
    let mut push = format!(">{}\r\n", strings.len()).into_bytes();
    for string in strings {
        let bytes: Vec<u8> = string.chars().map(|c| u8::try_from(c).unwrap()).collect();
        push.extend(format!("${}\r\n", bytes.len()).into_bytes());
        push.extend(bytes);
        push.extend(b"\r\n");
    }
    push
}

/// Returns the words of a command. Their bytes become characters.
async fn read_command(reader: &mut (impl io::AsyncBufRead + Unpin)) -> Option<Vec<String>> {
    let count = read_number(reader).await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; read_number(reader).await? + 2];
        reader.read_exact(&mut word).await.ok()?;
        word.truncate(word.len() - 2);
        words.push(word.into_iter().map(char::from).collect());
    }
    Some(words)
}

/// Returns the number in the next line, after its first byte.
async fn read_number(reader: &mut (impl io::AsyncBufRead + Unpin)) -> Option<usize> {
    let mut line = String::new();
    io::AsyncBufReadExt::read_line(reader, &mut line).await.ok()?;
    line.get(1..)?.trim_end().parse().ok()
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
    let url = format!("redis://ann:secret@{ADDRESS}");
    Cluster::new(sim.clone(), Redis::new(sim.clone(), &url).unwrap())
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
