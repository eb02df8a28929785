//! [`Actor`]: a handler whose moods are the fuzzer's, and which writes down all that happens to it.

use std::{
    collections::VecDeque,
    panic::resume_unwind,
    sync::{Arc, Mutex, MutexGuard},
};

use arbitrary::Arbitrary;
use async_channel::{Receiver, Sender};
use futures_lite::future::yield_now;
use prism_driver::{
    CloseCode, Connection, Disconnect, Handler, Message, OwnedMessage, Runtime, SendError,
};

use crate::driver::{s, sim::Sim};

/// What the handler does when it is called.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Mood {
    /// Nothing.
    Calm,
    /// Sends so many messages of this length, one after the other.
    Send(u8, u16),
    /// Gives others so many turns.
    Yield(u8),
    /// Waits until it is told to go on.
    Wait,
    /// Sleeps for so many seconds.
    Sleep(u8),
    /// Closes the connection.
    Close(u8),
    /// Panics, in its future or before there is one.
    Panic(bool),
}

/// What has happened, on the handler's side.
#[derive(Default)]
pub struct Diary {
    /// Whether `on_connect` was called.
    pub connected: bool,
    /// What `on_message` was called with.
    pub heard: Vec<OwnedMessage>,
    /// What `on_disconnect` was called with.
    pub farewell: Option<Disconnect>,
    /// What was accepted, whoever sent it.
    pub accepted: Vec<OwnedMessage>,
    /// How we have closed, if we did so first.
    pub closed: Option<(CloseCode, String)>,
    /// Whether somebody has aborted the connection.
    pub aborted: bool,
    /// How many of the connection's hooks have run: there is one.
    pub ended: usize,
    /// Whether it has panicked.
    pub panicked: bool,
    /// The session may have been dropped, and what ran in it.
    pub dropped: bool,
    /// How many senders wait that are none of the handler's.
    pub waiting: usize,
    /// It is running.
    busy: bool,
    sent: usize,
}

/// The handler, and whoever else uses its connection.
#[derive(Clone)]
pub struct Actor(Arc<Stage>);

struct Stage {
    sim: Sim,
    moods: Mutex<VecDeque<Mood>>,
    go_on: Receiver<()>,
    tell: Sender<Connection>,
    diary: Mutex<Diary>,
}

impl Actor {
    /// It hands its connection out, and goes on when `go_on` has something or is closed.
    pub fn new(sim: &Sim, moods: Vec<Mood>, go_on: Receiver<()>, tell: Sender<Connection>) -> Self {
        let (moods, diary) = (Mutex::new(moods.into()), Mutex::default());
        Self(Arc::new(Stage { sim: sim.clone(), moods, go_on, tell, diary }))
    }

    /// The diary so far.
    ///
    /// # Panics
    /// If somebody has panicked over it, which is a finding of its own.
    pub fn diary(&self) -> MutexGuard<'_, Diary> {
        self.0.diary.lock().expect("nobody panics while writing")
    }

    /// Sends a message of this length that is like no other, from wherever.
    pub async fn send(&self, connection: &Connection, len: u16) -> Result<(), SendError> {
        let number = {
            let mut diary = self.diary();
            diary.sent += 1;
            diary.sent
        };
        let text = format!("{number:0len$}", len = usize::from(len) % 2_000);
        connection.send(&text).await?;
        let mut diary = self.diary();
        assert!(diary.farewell.is_none(), "accepted when it was over");
        diary.accepted.push(OwnedMessage::Text(text));
        Ok(())
    }

    /// Closes, from wherever.
    pub fn close(&self, connection: &Connection, code: u8) {
        let (code, reason) = match code % 3 {
            0 => (CloseCode::NO_STATUS, ""),
            1 => (CloseCode::NORMAL, "enough"),
            _ => (CloseCode::GOING_AWAY, "at once"),
        };
        if connection.close(code, reason) {
            let before = self.diary().closed.replace((code, reason.to_owned()));
            assert_eq!(before, None, "closed once");
        }
    }

    fn begin(&self, write: impl FnOnce(&mut Diary)) -> (Mood, Running<'_>) {
        let mut diary = self.diary();
        assert!(!diary.busy, "one at a time");
        diary.busy = true;
        write(&mut diary);
        let mood = self.0.moods.lock().expect("nobody panics here").pop_front();
        drop(diary);
        let running = Running { actor: self, done: false };
        if let Some(Mood::Panic(true)) = mood {
            self.panic();
        }
        (mood.unwrap_or(Mood::Calm), running)
    }

    async fn act(&self, mood: Mood, connection: &Connection) {
        match mood {
            Mood::Calm => {}
            Mood::Send(count, len) => {
                for _ in 0..count % 16 {
                    // It may be closing already.
                    let _ = self.send(connection, len).await;
                }
            }
            Mood::Yield(turns) => {
                for _ in 0..turns {
                    yield_now().await;
                }
            }
            Mood::Wait => {
                let _ = self.0.go_on.recv().await;
            }
            Mood::Sleep(seconds) => self.0.sim.sleep(s(u64::from(seconds))).await,
            Mood::Close(code) => self.close(connection, code),
            Mood::Panic(_) => self.panic(),
        }
    }

    /// Panics without the hook, which would take it for a finding.
    fn panic(&self) -> ! {
        self.diary().panicked = true;
        resume_unwind(Box::new("on purpose"))
    }
}

impl Handler for Actor {
    fn on_connect(&self, connection: &Connection) -> impl Future<Output = ()> + Send {
        let hooked = self.clone();
        connection.on_end(move || hooked.diary().ended += 1);
        self.0.tell.try_send(connection.clone()).expect("told once");
        let (mood, running) = self.begin(|diary| {
            assert!(!diary.connected && diary.heard.is_empty(), "first, once");
            diary.connected = true;
        });
        async move {
            self.act(mood, connection).await;
            running.done();
        }
    }

    fn on_message(
        &self,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send {
        let (mood, running) = self.begin(|diary| {
            assert!(diary.connected && diary.farewell.is_none());
            assert_eq!(diary.closed, None, "no message comes when we have closed");
            assert!(!diary.aborted, "nor when we have aborted");
            diary.heard.push(message.into_owned());
        });
        async move {
            self.act(mood, connection).await;
            running.done();
        }
    }

    fn on_disconnect(
        &self,
        connection: &Connection,
        reason: Disconnect,
    ) -> impl Future<Output = ()> + Send {
        let (mood, running) = self.begin(|diary| {
            assert!(diary.connected && diary.farewell.is_none(), "last, once");
            assert_eq!(diary.ended, 1, "the hook ran before");
            diary.farewell = Some(reason);
        });
        async move {
            self.act(mood, connection).await;
            running.done();
        }
    }
}

/// A call of the handler. It runs to its end, unless it panics or the whole session is dropped.
struct Running<'a> {
    actor: &'a Actor,
    done: bool,
}

impl Running<'_> {
    fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut diary = self.actor.diary();
        diary.busy = false;
        let may_end = self.done || std::thread::panicking() || diary.dropped;
        drop(diary);
        assert!(may_end, "a handler's future is never dropped half-way");
    }
}
