//! [`ScriptedHandler`]: a handler that behaves as the fuzzer says, and records all calls.

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
use prism_test::Sim;

use crate::driver::s;

/// What the handler does when it is called.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Behavior {
    /// Does nothing.
    Calm,
    /// Sends this many messages of this length, one after the other.
    Send(u8, u16),
    /// Yields this many times.
    Yield(u8),
    /// Waits until it is told to go on.
    Wait,
    /// Sleeps for this many seconds.
    Sleep(u8),
    /// Closes the connection.
    Close(u8),
    /// Panics, in its future or before there is one.
    Panic(bool),
}

/// What has happened so far, on the handler's side.
#[derive(Default)]
pub struct Record {
    /// Whether `on_connect` was called.
    pub connected: bool,
    /// What `on_message` was called with.
    pub heard: Vec<OwnedMessage>,
    /// What `on_disconnect` was called with.
    pub reason: Option<Disconnect>,
    /// The accepted messages of all senders.
    pub accepted: Vec<OwnedMessage>,
    /// How we have closed, if we did so first.
    pub closed: Option<(CloseCode, String)>,
    /// Whether the connection was aborted.
    pub aborted: bool,
    /// How many of the connection's hooks have run: there is one.
    pub ended: usize,
    /// Whether the handler has panicked.
    pub panicked: bool,
    /// Whether the session may have been dropped, with the handler's future.
    pub dropped: bool,
    /// The number of waiting senders other than the handler.
    pub waiting: usize,
    /// Whether the handler is running.
    busy: bool,
    sent: usize,
}

/// The handler. Its clones use the connection from other tasks.
#[derive(Clone)]
pub struct ScriptedHandler(Arc<Shared>);

struct Shared {
    sim: Sim,
    behaviors: Mutex<VecDeque<Behavior>>,
    go_on: Receiver<()>,
    handles: Sender<Connection>,
    record: Mutex<Record>,
}

impl ScriptedHandler {
    /// Creates a handler that hands its connection out by `handles`. When it waits, it goes on once `go_on`
    /// has an item or is closed.
    pub fn new(
        sim: &Sim,
        behaviors: Vec<Behavior>,
        go_on: Receiver<()>,
        handles: Sender<Connection>,
    ) -> Self {
        let (behaviors, record) = (Mutex::new(behaviors.into()), Mutex::default());
        Self(Arc::new(Shared { sim: sim.clone(), behaviors, go_on, handles, record }))
    }

    /// Returns the record so far.
    ///
    /// # Panics
    /// If a thread has panicked while it held the lock, which is a finding as well.
    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.0.record.lock().expect("no panic while it is locked")
    }

    /// Sends a unique message of this length.
    pub async fn send(&self, connection: &Connection, len: u16) -> Result<(), SendError> {
        let number = {
            let mut record = self.record();
            record.sent += 1;
            record.sent
        };
        let text = format!("{number:0len$}", len = usize::from(len) % 2_000);
        connection.send(&text).await?;
        let mut record = self.record();
        assert!(record.reason.is_none(), "accepted after the end");
        record.accepted.push(OwnedMessage::Text(text));
        Ok(())
    }

    /// Closes the connection.
    pub fn close(&self, connection: &Connection, code: u8) {
        let (code, reason) = match code % 3 {
            0 => (CloseCode::NO_STATUS, ""),
            1 => (CloseCode::NORMAL, "enough"),
            _ => (CloseCode::GOING_AWAY, "at once"),
        };
        if connection.close(code, reason) {
            let before = self.record().closed.replace((code, reason.to_owned()));
            assert_eq!(before, None, "closed once");
        }
    }

    fn begin(&self, write: impl FnOnce(&mut Record)) -> (Behavior, Running<'_>) {
        let mut record = self.record();
        assert!(!record.busy, "one at a time");
        record.busy = true;
        write(&mut record);
        let behavior = self.0.behaviors.lock().expect("no panic while it is locked").pop_front();
        drop(record);
        let running = Running { handler: self, done: false };
        if let Some(Behavior::Panic(true)) = behavior {
            self.panic();
        }
        (behavior.unwrap_or(Behavior::Calm), running)
    }

    async fn act(&self, behavior: Behavior, connection: &Connection) {
        match behavior {
            Behavior::Calm => {}
            Behavior::Send(count, len) => {
                for _ in 0..count % 16 {
                    // The connection may be closing already.
                    let _ = self.send(connection, len).await;
                }
            }
            Behavior::Yield(turns) => {
                for _ in 0..turns {
                    yield_now().await;
                }
            }
            Behavior::Wait => {
                let _ = self.0.go_on.recv().await;
            }
            Behavior::Sleep(seconds) => self.0.sim.sleep(s(u64::from(seconds))).await,
            Behavior::Close(code) => self.close(connection, code),
            Behavior::Panic(_) => self.panic(),
        }
    }

    /// Panics without the panic hook, which the fuzzer would take for a finding.
    fn panic(&self) -> ! {
        self.record().panicked = true;
        resume_unwind(Box::new("on purpose"))
    }
}

impl Handler for ScriptedHandler {
    fn on_connect(&self, connection: &Connection) -> impl Future<Output = ()> + Send {
        let hooked = self.clone();
        connection.on_end(move || hooked.record().ended += 1);
        self.0.handles.try_send(connection.clone()).expect("told once");
        let (behavior, running) = self.begin(|record| {
            assert!(!record.connected && record.heard.is_empty(), "first, once");
            record.connected = true;
        });
        async move {
            self.act(behavior, connection).await;
            running.done();
        }
    }

    fn on_message(
        &self,
        connection: &Connection,
        message: Message<'_>,
    ) -> impl Future<Output = ()> + Send {
        let (behavior, running) = self.begin(|record| {
            assert!(record.connected && record.reason.is_none());
            assert_eq!(record.closed, None, "no message after our close");
            assert!(!record.aborted, "no message after an abort");
            record.heard.push(message.into_owned());
        });
        async move {
            self.act(behavior, connection).await;
            running.done();
        }
    }

    fn on_disconnect(
        &self,
        connection: &Connection,
        reason: Disconnect,
    ) -> impl Future<Output = ()> + Send {
        let (behavior, running) = self.begin(|record| {
            assert!(record.connected && record.reason.is_none(), "last, once");
            assert_eq!(record.ended, 1, "the hook ran before");
            record.reason = Some(reason);
        });
        async move {
            self.act(behavior, connection).await;
            running.done();
        }
    }
}

/// A call of the handler, which runs to its end, unless it panics or the whole session is dropped.
struct Running<'a> {
    handler: &'a ScriptedHandler,
    done: bool,
}

impl Running<'_> {
    fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut record = self.handler.record();
        record.busy = false;
        let may_end = self.done || std::thread::panicking() || record.dropped;
        drop(record);
        assert!(may_end, "a handler's future is never dropped half-way");
    }
}
