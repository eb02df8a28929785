//! What NATS hears and says, as far as a backplane needs it.

use std::sync::Mutex;

use async_channel::Sender;
use futures_lite::{AsyncReadExt, io};
use prism_rooms_nats::Nats;
use prism_test::Sim;

/// What messages call the server.
pub(crate) const NAME: &str = "NATS";

/// The port of a URL without one.
pub(crate) const PORT: u16 = 4222;

/// The URL of the first server.
pub(crate) const URL: &str = "nats://ann:secret@192.0.2.1";

/// Whether the server says something before the first command. It does so as after a command that is one empty word.
pub(crate) const SPEAKS_FIRST: bool = true;

#[derive(Default)]
pub(crate) struct Broker(Mutex<Vec<Subscription>>);

struct Subscription {
    subject: String,
    id: String,
    /// Where its messages go.
    said: Sender<Vec<u8>>,
}

impl Broker {
    /// Returns the reply to a command. `said` is where what is said to the same client goes.
    pub(crate) fn reply(&self, words: &[&str], said: &Sender<Vec<u8>>) -> Vec<u8> {
        let mut subscriptions = self.0.lock().unwrap();
        match *words {
            [""] => return b"INFO {\"server_name\":\"a\",\"max_payload\":1048576}\r\n".to_vec(),
            ["PING"] => return b"PONG\r\n".to_vec(),
            ["CONNECT", _] | ["PONG"] => {}
            ["SUB", subject, id] => subscriptions.push(Subscription {
                subject: subject.to_owned(),
                id: id.to_owned(),
                said: said.clone(),
            }),
            ["UNSUB", id] => {
                subscriptions.retain(|other| other.id != id || !other.said.same_channel(said));
            }
            ["PUB", subject, _, payload] => {
                for Subscription { id, said, .. } in
                    subscriptions.iter().filter(|other| other.subject == subject)
                {
                    let _ = said.try_send(message(subject, id, payload));
                }
            }
            _ => panic!("{words:?}"),
        }
        Vec::new()
    }
}

pub(crate) fn backplane(sim: &Sim, url: &str) -> Nats<Sim> {
    Nats::new(sim.clone(), url).expect("a URL")
}

/// Returns a message to all nodes, to the first subscription of a node.
pub(crate) fn message_to_all(payload: &str) -> Vec<u8> {
    message("prism.all", "1", payload)
}

/// Returns a message of a subscription. The payload's characters are bytes.
fn message(subject: &str, subscription: &str, payload: &str) -> Vec<u8> {
    let payload: Vec<u8> = payload.chars().map(|c| u8::try_from(c).unwrap()).collect();
    let mut message = format!("MSG {subject} {subscription} {}\r\n", payload.len()).into_bytes();
    message.extend(payload);
    message.extend(b"\r\n");
    message
}

/// Returns the words of a command. The last one of a `PUB` is the payload, whose bytes become characters.
pub(crate) async fn read_command(
    reader: &mut (impl io::AsyncBufRead + Unpin),
) -> Option<Vec<String>> {
    let mut line = String::new();
    if io::AsyncBufReadExt::read_line(reader, &mut line).await.ok()? == 0 {
        return None;
    }
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    if words[0] == "PUB" {
        let mut payload = vec![0; words[2].parse::<usize>().expect("a length") + 2];
        reader.read_exact(&mut payload).await.ok()?;
        payload.truncate(payload.len() - 2);
        words.push(payload.into_iter().map(char::from).collect());
    }
    Some(words)
}
