//! What Redis hears and says, as far as a backplane needs it.

use std::sync::Mutex;

use async_channel::Sender;
use futures_lite::{AsyncReadExt, io};
use prism_rooms_redis::Redis;
use prism_test::Sim;

/// What messages call the server.
pub(crate) const NAME: &str = "Redis";

/// The port of a URL without one.
pub(crate) const PORT: u16 = 6379;

/// The URL of the first server.
pub(crate) const URL: &str = "redis://ann:secret@192.0.2.1";

/// Whether the server says something before the first command.
pub(crate) const SPEAKS_FIRST: bool = false;

/// The channels with subscribers, and where their messages go.
#[derive(Default)]
pub(crate) struct Broker(Mutex<Vec<(String, Sender<Vec<u8>>)>>);

impl Broker {
    /// Returns the reply to a command. `said` is where what is said to the same client goes.
    pub(crate) fn reply(&self, words: &[&str], said: &Sender<Vec<u8>>) -> Vec<u8> {
        let mut subscriptions = self.0.lock().unwrap();
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

pub(crate) fn backplane(sim: &Sim, url: &str) -> Redis<Sim> {
    Redis::new(sim.clone(), url).expect("a URL")
}

/// Returns a message to all nodes.
pub(crate) fn message_to_all(payload: &str) -> Vec<u8> {
    push(&["message", "prism:all", payload])
}

/// Returns a push with these strings, whose characters are bytes.
fn push(strings: &[&str]) -> Vec<u8> {
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
pub(crate) async fn read_command(
    reader: &mut (impl io::AsyncBufRead + Unpin),
) -> Option<Vec<String>> {
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
