//! Uses a connection's outbox in any way, from several tasks, while its peer reads as it likes. The bytes
//! written are those of the accepted messages, whole and in order. Exactly those messages are missed that
//! the connection's policy drops. The count of waiting bytes is exact, and no task waits without a reason.
#![no_main]

use arbitrary::Arbitrary;
use async_channel::Receiver;
use libfuzzer_sys::fuzz_target;
use prism_driver::{CloseCode, Options, OwnedMessage, SendError, TrySendError, WhenSlow};
use prism_fuzz::{
    agreement::{self, Agreement},
    common::frame::Frame,
    drive::{ManualFuture, end, serve, take},
    driver::{handlers::HandOut, s},
    messages::{MessageSpec, Slow, size},
    model::{Expected, Model, Sender},
    other_session::OtherSession,
    protocol::Protocol,
    view::{Attempt, Snapshot, View},
    waiting::{Reasons, Waiting},
};
use prism_test::{PipeEnd, Sim};

#[derive(Arbitrary, Debug)]
struct Case {
    /// What was agreed for compression.
    agreement: Option<Agreement>,
    mark: u16,
    when_slow: Slow,
    acts: Vec<Act>,
}

#[derive(Arbitrary, Debug)]
enum Act {
    /// Sends, and waits if necessary.
    Send(MessageSpec),
    TrySend(MessageSpec),
    /// Sends all of these in one poll of another connection's session.
    FromSession(Vec<MessageSpec>),
    Ping(u8),
    Close(Option<u8>),
    Abort,
    Flush,
    /// Polls one of the waiting futures, whether it was woken or not.
    Look(u8),
    /// Drops one of the waiting futures.
    GiveUp(u8),
    /// Polls this many tasks.
    Run(u8),
    /// Runs all tasks that can run.
    Settle,
    Wait(u8),
    /// Makes room in the pipe for this many more bytes, or for many.
    Room(Option<u8>),
    /// Limits how many bytes the pipe moves at a time. (Few enough to split a header; fewer would take too
    /// long.)
    Piece(u16),
    /// Lets the peer take this many bytes.
    Take(u16),
    /// Makes the transport fail after this many more bytes.
    Break(u16),
    /// Ends the peer's side, which goes on reading.
    End,
    Vanish,
}

fuzz_target!(|input: Case| {
    let mut scenario = Scenario::new(input.agreement, size(input.mark), input.when_slow.into());
    for act in input.acts.into_iter().take(200) {
        scenario.perform(act);
        scenario.check();
    }
    scenario.finish();
});

/// The default capacity of a pipe.
const CAPACITY: usize = 1 << 20;

/// The largest control frame, with its header.
const CONTROL: usize = 127;

/// One connection, its users, and the model of what has to happen.
struct Scenario {
    sim: Sim,
    view: View,
    ended: Receiver<()>,
    /// The peer, until it vanishes.
    peer: Option<PipeEnd>,
    other_session: OtherSession<Vec<Attempt>>,
    waiting: Vec<Waiting>,
    model: Model,
    protocol: Protocol,
    mark: usize,
    largest: usize,
    /// How many bytes the pipe holds.
    room: usize,
    /// Whether we have closed.
    closed: bool,
    /// Whether the peer or the transport may have ended the connection.
    disturbed: bool,
    sent: u8,
}

impl Scenario {
    fn new(agreement: Option<Agreement>, mark: usize, when_slow: WhenSlow) -> Self {
        let sim = Sim::default();
        let (handler, out) = HandOut::when_slow(when_slow);
        let mut options = quiet();
        options.high_water_mark = mark;
        options.protocol.deflate = agreement.map(Agreement::settings);
        let request = agreement.map(|_| agreement::request());
        let (mut peer, faults, ended) = serve(&sim, handler, options, request);
        let connection = sim.run(async { out.recv().await.expect("it connects") });
        while sim.tick() {}
        take(&mut peer, usize::MAX); // the answer to the request
        let ending = connection.clone();
        let waiting = vec![Waiting::End(ManualFuture::new(async move { ending.closed().await }))];
        Self {
            other_session: OtherSession::new(&sim, quiet()),
            sim,
            view: View { connection, faults, taken: 0 },
            ended,
            peer: Some(peer),
            waiting,
            model: Model::new(mark, when_slow),
            protocol: Protocol::new(agreement, when_slow),
            mark: mark.max(1),
            largest: 0,
            room: CAPACITY,
            closed: false,
            disturbed: false,
            sent: 0,
        }
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Send(spec) => self.send(spec),
            Act::TrySend(spec) => {
                let message = self.message(spec);
                let attempt = self.view.try_send(&message, spec.prepared);
                self.note(&message, spec.prepared, attempt);
            }
            Act::FromSession(specs) => self.send_from_session(specs),
            Act::Ping(len) => self.ping(len.into()),
            Act::Close(len) => self.close(len),
            Act::Abort => {
                self.disturbed = true;
                self.view.connection.abort();
                assert!(self.view.faults.dropped_by_server());
            }
            Act::Flush => {
                let connection = self.view.connection.clone();
                let upto = self.model.accepted();
                let flushing = ManualFuture::new(async move { connection.flush().await });
                self.waiting.push(Waiting::Flush(upto, flushing));
                self.look(self.waiting.len() - 1);
            }
            Act::Look(which) => self.look(usize::from(which) % self.waiting.len().max(1)),
            Act::GiveUp(which) => {
                if !self.waiting.is_empty() {
                    self.waiting.swap_remove(usize::from(which) % self.waiting.len());
                }
            }
            Act::Run(turns) => {
                let _ = (0..turns).all(|_| self.sim.tick());
            }
            Act::Settle => self.settle(),
            Act::Wait(seconds) => self.wait(seconds),
            Act::Room(None) => self.set_room(CAPACITY),
            Act::Room(Some(more)) => {
                self.set_room(self.view.faults.to_client().unread() + usize::from(more));
            }
            Act::Piece(bytes) => self.view.faults.set_piece(usize::from(bytes).max(13)),
            Act::Take(most) => self.take(usize::from(most)),
            Act::Break(bytes) => {
                self.disturbed = true;
                self.view.faults.to_client().fail_after(bytes.into(), std::io::ErrorKind::TimedOut);
            }
            Act::End => {
                self.disturbed = true;
                self.peer.iter_mut().for_each(end);
            }
            Act::Vanish => {
                self.disturbed = true;
                self.peer = None;
            }
        }
    }

    // ---- sending

    fn message(&mut self, spec: MessageSpec) -> OwnedMessage {
        self.sent = self.sent.wrapping_add(1);
        spec.message(self.sent)
    }

    fn note(&mut self, message: &OwnedMessage, prepared: bool, (result, before, after): Attempt) {
        let expected = self.decide(Sender::Tries, message, prepared, before, after);
        assert_eq!(Expected::Returns(result), expected);
    }

    fn decide(
        &mut self,
        sender: Sender,
        message: &OwnedMessage,
        prepared: bool,
        before: Snapshot,
        after: Snapshot,
    ) -> Expected {
        self.closed |= before.open && !after.open;
        let encode = || {
            let frame = self.protocol.encode(message, prepared);
            self.largest = self.largest.max(frame.len());
            frame
        };
        self.model.send(sender, encode, before, after)
    }

    fn send(&mut self, spec: MessageSpec) {
        let message = self.message(spec);
        let mut sending = self.view.send(&message, spec.prepared);
        let before = self.view.snapshot();
        let result = sending.poll();
        let after = self.view.snapshot();
        let expected = self.decide(Sender::Waits, &message, spec.prepared, before, after);
        match result {
            Some(result) => {
                assert_eq!(expected, Expected::Returns(result.map_err(TrySendError::Refused)))
            }
            None => {
                assert_eq!(expected, Expected::Waiting);
                self.waiting.push(Waiting::Room(message, spec.prepared, sending));
            }
        }
    }

    fn send_from_session(&mut self, specs: Vec<MessageSpec>) {
        let messages: Vec<_> =
            specs.iter().map(|spec| (self.message(*spec), spec.prepared)).collect();
        let (view, loaded) = (self.view.clone(), messages.clone());
        let attempts = self.other_session.run(&self.sim, move || {
            loaded.iter().map(|(message, prepared)| view.try_send(message, *prepared)).collect()
        });
        for ((message, prepared), attempt) in messages.iter().zip(attempts) {
            self.note(message, *prepared, attempt);
        }
    }

    fn ping(&mut self, len: usize) {
        let payload = vec![b'p'; len];
        let open = self.view.connection.is_open();
        let expected = match len {
            _ if !open => Err(TrySendError::Refused(SendError::Closed)),
            _ if self.is_full() => Err(TrySendError::Full),
            0..=125 => Ok(()),
            len => Err(TrySendError::Refused(SendError::ControlTooLong(len))),
        };
        assert_eq!(self.view.connection.ping(&payload), expected);
        if expected.is_ok() {
            self.model.control(Frame::ping(payload).encoded());
        }
    }

    fn close(&mut self, len: Option<u8>) {
        let open = self.view.connection.is_open();
        let reason = "r".repeat(len.unwrap_or(0).into());
        let code = if len.is_some() { CloseCode::NORMAL } else { CloseCode::NO_STATUS };
        assert_eq!(self.view.connection.close(code, &reason), open);
        if open {
            self.closed = true;
            let sent = &reason[..reason.len().min(123)];
            let frame = len.map_or_else(Frame::empty_close, |_| Frame::close(1000, sent));
            self.model.control(frame.encoded());
        }
    }

    /// Polls a waiting future, and removes it when it is done.
    fn look(&mut self, which: usize) {
        let (before, full) = (self.view.snapshot(), self.is_full());
        let Some(waiting) = self.waiting.get_mut(which) else { return };
        match waiting {
            Waiting::Room(message, prepared, held) => {
                let Some(result) = held.poll() else { return };
                assert!(!full || !before.open);
                let (message, prepared, after) = (message.clone(), *prepared, self.view.snapshot());
                let expected = self.decide(Sender::Waits, &message, prepared, before, after);
                assert_eq!(expected, Expected::Returns(result.map_err(TrySendError::Refused)));
            }
            Waiting::Flush(upto, held) => {
                let Some(result) = held.poll() else { return };
                // The poll itself may have written.
                let written = self.view.written();
                let done = written >= (*upto).min(self.model.accepted());
                assert_eq!(result.is_ok(), done, "{written} of {upto} are written");
            }
            Waiting::End(held) => {
                if held.poll().is_none() {
                    return;
                }
                assert!(!before.open);
            }
        }
        self.waiting.swap_remove(which);
    }

    fn is_full(&self) -> bool {
        self.model.is_full(self.view.written())
    }

    // ---- the transport

    fn set_room(&mut self, bytes: usize) {
        self.room = bytes;
        self.view.faults.to_client().set_capacity(bytes);
    }

    fn take(&mut self, most: usize) {
        let Some(peer) = &mut self.peer else { return };
        self.model.take(&take(peer, most));
        self.view.taken = self.model.taken();
    }

    // ---- what must hold

    /// Checks what must hold at any time.
    fn check(&self) {
        let (waits, gone) = (self.view.connection.buffered(), self.view.faults.dropped_by_server());
        let left = self.model.accepted() - self.view.written();
        // A failed write loses the rest, but the transport can still be read.
        let lost = gone || (self.disturbed && !self.view.connection.is_open() && waits == 0);
        assert_eq!(waits, if lost { 0 } else { left }, "gone: {gone}");
        assert!(
            waits < self.mark + self.largest.max(CONTROL) + CONTROL,
            "more than one message above the mark"
        );
        if !self.disturbed {
            assert_eq!(self.view.connection.is_open(), !self.closed);
        }
    }

    /// Runs all tasks while time stands still. Checks that then nothing waits without a reason.
    fn settle(&mut self) {
        loop {
            while self.sim.tick() {}
            match self.waiting.iter().position(Waiting::is_woken) {
                Some(which) => self.look(which),
                None => break,
            }
        }
        self.check();
        let waits = self.view.connection.buffered();
        let reasons = Reasons {
            full: self.view.connection.is_open() && self.is_full(),
            written: self.view.written(),
            accepted: self.model.accepted(),
            over: !self.ended.is_empty(),
        };
        self.waiting.iter().for_each(|waiting| waiting.check(&reasons));
        let is_blocked = self.view.faults.to_client().unread() >= self.room;
        assert!(waits == 0 || is_blocked, "{waits} bytes could be written");
    }

    /// Lets time pass. A peer that takes nothing is dropped after 30 s or earlier.
    fn wait(&mut self, seconds: u8) {
        self.settle();
        let stuck = self.view.connection.buffered() > 0;
        self.disturbed |= stuck;
        self.sim.run(self.sim.pass(s(seconds.into())));
        assert!(!stuck || seconds <= 30 || !self.ended.is_empty(), "the peer was not dropped");
    }

    /// Lets everything be written, and the connection end.
    fn finish(mut self) {
        self.view.faults.set_piece(usize::MAX);
        self.set_room(usize::MAX);
        self.settle();
        self.take(usize::MAX);
        if !self.disturbed {
            assert_eq!(self.view.taken, self.model.accepted(), "everything arrives");
        }
        self.perform(Act::Vanish);
        self.other_session.leave();
        self.sim.run(self.sim.pass(s(60)));
        assert!(!self.ended.is_empty(), "the connection never ends");
        self.settle();
        assert!(self.waiting.is_empty());
        assert_eq!(
            self.view.connection.try_send(""),
            Err(TrySendError::Refused(SendError::Closed))
        );
    }
}

fn quiet() -> Options {
    let mut options = Options::default();
    options.protocol.ping_interval = None;
    options
}
