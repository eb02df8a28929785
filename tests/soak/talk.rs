//! A conversation: numbered messages that have to come back once and in order, while numbered news
//! come in between.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use fastrand::Rng;
use futures_lite::future::or;
use prism_driver::{OwnedMessage, Runtime};

use crate::{ends::End, tally::Tally};

/// How long an echo may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What ended a conversation too early.
pub(crate) enum Trouble {
    /// The connection is over.
    Broken(String),
    /// Something has come that should not have.
    Wrong(String),
}

/// One side of it.
pub(crate) struct Talk<'a, E> {
    end: E,
    dice: Rng,
    tally: &'a Tally,
    /// What the messages are made of.
    seed: u64,
    sent: u64,
    heard: u64,
    /// The number of the news that come next.
    news: Option<u64>,
}

impl<'a, E: End> Talk<'a, E> {
    pub(crate) fn new(end: E, mut dice: Rng, tally: &'a Tally) -> Self {
        let seed = dice.u64(..);
        Self { end, dice, tally, seed, sent: 0, heard: 0, news: None }
    }

    /// Talks until it is time to leave, and closes when all has come back.
    pub(crate) async fn hold(
        mut self,
        runtime: &impl Runtime,
        leave: Instant,
    ) -> Result<(), Trouble> {
        let mut next = Instant::now();
        let mut progress = next;
        while self.heard < self.sent || Instant::now() < leave {
            let pause = next.saturating_duration_since(Instant::now());
            let time = async {
                runtime.sleep(pause).await;
                None
            };
            match or(async { Some(self.end.recv().await) }, time).await {
                Some(message) => {
                    let before = self.heard;
                    self.hear(&message.map_err(Trouble::Broken)?).map_err(Trouble::Wrong)?;
                    if self.heard > before {
                        progress = Instant::now();
                    }
                }
                None => {
                    next += Duration::from_millis(self.dice.u64(200..800));
                    let waited = self.heard < self.sent && progress.elapsed() > PATIENCE;
                    if waited {
                        let (sent, heard) = (self.sent, self.heard);
                        return Err(Trouble::Broken(format!("{heard} of {sent} echoes came")));
                    }
                    if Instant::now() < leave {
                        self.say().await.map_err(Trouble::Broken)?;
                    }
                }
            }
        }
        self.end.close().await.map_err(Trouble::Broken)
    }

    async fn say(&mut self) -> Result<(), String> {
        let message = message(self.seed, self.sent);
        self.sent += 1;
        self.end.send(message).await
    }

    fn hear(&mut self, heard: &OwnedMessage) -> Result<(), String> {
        match heard {
            OwnedMessage::Binary(bytes) => {
                let number = self.heard;
                if number == self.sent || *bytes != message(self.seed, number) {
                    let came = bytes.first_chunk().map(|number| u64::from_be_bytes(*number));
                    return Err(format!("expected echo {number} of {}, but {came:?}", self.sent));
                }
                self.heard += 1;
                self.tally.echoes.fetch_add(1, Relaxed);
            }
            OwnedMessage::Text(text) => {
                let number = text.parse().map_err(|_| format!("no news: {text:?}"))?;
                let expected = self.news.unwrap_or(number);
                if number != expected {
                    return Err(format!("expected news {expected}, but {number}"));
                }
                self.news = Some(number + 1);
                self.tally.news.fetch_add(1, Relaxed);
            }
        }
        Ok(())
    }
}

/// A message that begins with its number: most are small, and one of a hundred is large.
fn message(seed: u64, number: u64) -> Vec<u8> {
    let mut dice = Rng::with_seed(seed ^ number.rotate_left(32));
    let len = match dice.u8(..100) {
        0 => dice.usize(..128 << 10),
        1..10 => dice.usize(..8 << 10),
        _ => dice.usize(..256),
    };
    let mut message = vec![0; 8 + len];
    dice.fill(&mut message);
    message[..8].copy_from_slice(&number.to_be_bytes());
    message
}
