//! A conversation: numbered messages that must be echoed once and in order, with numbered
//! broadcasts in between.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use fastrand::Rng;
use futures_lite::future::or;
use prism_driver::{OwnedMessage, Runtime};

use crate::{endpoint::Endpoint, tally::Tally};

/// How long an echo may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a conversation ended early.
pub(crate) enum ConversationError {
    /// The connection has ended.
    Broken(String),
    /// A message arrived that should not have.
    Wrong(String),
}

/// The client's side of a conversation.
pub(crate) struct Conversation<'a, E> {
    end: E,
    rng: Rng,
    tally: &'a Tally,
    /// The seed of the messages.
    seed: u64,
    sent: u64,
    received: u64,
    /// The number of the next broadcast, once one has arrived.
    next_broadcast: Option<u64>,
}

impl<'a, E: Endpoint> Conversation<'a, E> {
    pub(crate) fn new(end: E, mut rng: Rng, tally: &'a Tally) -> Self {
        let seed = rng.u64(..);
        Self { end, rng, tally, seed, sent: 0, received: 0, next_broadcast: None }
    }

    /// Sends messages until `leave`, and closes after the last echo.
    pub(crate) async fn run(
        mut self,
        runtime: &impl Runtime,
        leave: Instant,
    ) -> Result<(), ConversationError> {
        let mut next = Instant::now();
        let mut progress = next;
        while self.received < self.sent || Instant::now() < leave {
            let pause = next.saturating_duration_since(Instant::now());
            let time = async {
                runtime.sleep(pause).await;
                None
            };
            match or(async { Some(self.end.recv().await) }, time).await {
                Some(message) => {
                    let before = self.received;
                    self.receive(&message.map_err(ConversationError::Broken)?)
                        .map_err(ConversationError::Wrong)?;
                    if self.received > before {
                        progress = Instant::now();
                    }
                }
                None => {
                    next += Duration::from_millis(self.rng.u64(200..800));
                    if self.received < self.sent && progress.elapsed() > TIMEOUT {
                        let (sent, received) = (self.sent, self.received);
                        return Err(ConversationError::Broken(format!(
                            "only {received} of {sent} echoes arrived"
                        )));
                    }
                    if Instant::now() < leave {
                        self.send_next().await.map_err(ConversationError::Broken)?;
                    }
                }
            }
        }
        self.end.close().await.map_err(ConversationError::Broken)
    }

    async fn send_next(&mut self) -> Result<(), String> {
        let message = message(self.seed, self.sent);
        self.sent += 1;
        self.end.send(message).await
    }

    fn receive(&mut self, received: &OwnedMessage) -> Result<(), String> {
        match received {
            OwnedMessage::Binary(bytes) => {
                let number = self.received;
                if number == self.sent || *bytes != message(self.seed, number) {
                    let actual = bytes.first_chunk().map(|number| u64::from_be_bytes(*number));
                    return Err(format!("expected echo {number} of {}, but {actual:?}", self.sent));
                }
                self.received += 1;
                self.tally.echoes.fetch_add(1, Relaxed);
            }
            OwnedMessage::Text(text) => {
                let number = text.parse().map_err(|_| format!("not a broadcast: {text:?}"))?;
                let expected = self.next_broadcast.unwrap_or(number);
                if number != expected {
                    return Err(format!("expected broadcast {expected}, but {number}"));
                }
                self.next_broadcast = Some(number + 1);
                self.tally.broadcasts.fetch_add(1, Relaxed);
            }
        }
        Ok(())
    }
}

/// Returns a message that begins with its number. Most are small, and one in a hundred is large.
fn message(seed: u64, number: u64) -> Vec<u8> {
    let mut rng = Rng::with_seed(seed ^ number.rotate_left(32));
    let len = match rng.u8(..100) {
        0 => rng.usize(..128 << 10),
        1..10 => rng.usize(..8 << 10),
        _ => rng.usize(..256),
    };
    let mut message = vec![0; 8 + len];
    rng.fill(&mut message);
    message[..8].copy_from_slice(&number.to_be_bytes());
    message
}
