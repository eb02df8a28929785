//! Anything that can be done to a connection's outbox, by anybody, while its peer takes what it
//! likes: the bytes that leave are those of all that was accepted, whole and in order, what is missed is
//! what the handler wants missed and no more, what waits is counted exactly, and nobody waits who need
//! not.
#![no_main]

use arbitrary::Arbitrary;
use async_channel::Receiver;
use libfuzzer_sys::fuzz_target;
use prism_driver::{
    CloseCode, Disconnect, Options, OwnedMessage, PreparedMessage, SendError, TrySendError,
    WhenSlow,
};
use prism_fuzz::{
    common::frame::Frame,
    courier::Courier,
    driver::{
        self,
        handlers::HandOut,
        pipe::{End, pipe},
        s,
        sim::Sim,
    },
    hands::{Held, end, take},
    ledger::{Fate, Ledger, Sender},
    load::{self, Load, Slow, size},
    view::{Attempt, Sight, View},
};

#[derive(Arbitrary, Debug)]
struct Input {
    mark: u16,
    when_slow: Slow,
    acts: Vec<Act>,
}

#[derive(Arbitrary, Debug)]
enum Act {
    /// Sends, and waits if it has to.
    Send(Load),
    TrySend(Load),
    /// All of these, in one turn of another connection's session.
    FromSession(Vec<Load>),
    Ping(u8),
    Close(Option<u8>),
    Abort,
    Flush,
    /// One of those who wait looks, whether it was woken or not.
    Look(u8),
    /// One of those who wait gives up.
    GiveUp(u8),
    /// So many tasks have their turn.
    Run(u8),
    /// Everything happens that can.
    Settle,
    Wait(u8),
    /// The pipe has room for so many bytes more, or for a lot.
    Room(Option<u8>),
    /// It moves so many bytes at a time. (Few enough to tear a header; fewer would take too long.)
    Piece(u16),
    /// The peer takes so many bytes.
    Take(u16),
    /// After so many more bytes the transport fails.
    Break(u16),
    /// The peer ends its side, and reads on.
    End,
    Vanish,
}

fuzz_target!(|input: Input| {
    let mut world = World::new(size(input.mark), input.when_slow.into());
    for act in input.acts.into_iter().take(200) {
        world.perform(act);
        world.check();
    }
    world.finish();
});

/// What a pipe holds.
const A_LOT: usize = 1 << 20;

/// A control frame with its header, at most.
const CONTROL: usize = 127;

/// One connection, those who use it, and what is to be expected of it.
struct World {
    sim: Sim,
    view: View,
    ended: Receiver<Disconnect>,
    /// The peer, until it vanishes.
    peer: Option<End>,
    courier: Courier<Vec<Attempt>>,
    waiting: Vec<Waiting>,
    ledger: Ledger,
    mark: usize,
    largest: usize,
    /// How much the pipe holds.
    room: usize,
    /// We have closed.
    closed: bool,
    /// The peer or the transport may have ended the connection.
    disturbed: bool,
    sent: u8,
}

/// Somebody who waits, and for what.
enum Waiting {
    /// With a message.
    Room(OwnedMessage, Held<Result<(), SendError>>),
    /// Until all up to here has been written.
    Flush(usize, Held<Result<(), SendError>>),
    End(Held<()>),
}

impl Waiting {
    fn is_woken(&self) -> bool {
        match self {
            Self::Room(_, held) | Self::Flush(_, held) => held.is_woken(),
            Self::End(held) => held.is_woken(),
        }
    }
}

impl World {
    fn new(mark: usize, when_slow: WhenSlow) -> Self {
        let sim = Sim::default();
        let (handler, out) = HandOut::when_slow(when_slow);
        let (server, peer, script) = pipe();
        let mut options = quiet();
        options.high_water_mark = mark;
        let ended = driver::serve_on(&sim, server, handler, options);
        let connection = sim.run(async { out.recv().await.expect("it connects") });
        let mourner = connection.clone();
        let waiting = vec![Waiting::End(Held::new(async move { mourner.closed().await }))];
        Self {
            courier: Courier::new(&sim, quiet()),
            sim,
            view: View { connection, script, taken: 0 },
            ended,
            peer: Some(peer),
            waiting,
            ledger: Ledger::new(mark, when_slow),
            mark: mark.max(1),
            largest: 0,
            room: A_LOT,
            closed: false,
            disturbed: false,
            sent: 0,
        }
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Send(load) => self.send(load),
            Act::TrySend(load) => {
                let message = self.message(load);
                let attempt = self.view.try_send(&message, load.prepared);
                self.note(&message, attempt);
            }
            Act::FromSession(loads) => self.send_from_session(loads),
            Act::Ping(len) => self.ping(len.into()),
            Act::Close(len) => self.close(len),
            Act::Abort => {
                self.disturbed = true;
                self.view.connection.abort();
                assert!(self.view.script.dropped_by_server());
            }
            Act::Flush => {
                let connection = self.view.connection.clone();
                let upto = self.ledger.accepted();
                let flushing = Held::new(async move { connection.flush().await });
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
            Act::Room(None) => self.set_room(A_LOT),
            Act::Room(Some(more)) => {
                self.set_room(self.view.script.unread_by_client() + usize::from(more));
            }
            Act::Piece(bytes) => self.view.script.set_piece(usize::from(bytes).max(13)),
            Act::Take(most) => self.take(usize::from(most)),
            Act::Break(bytes) => {
                self.disturbed = true;
                self.view.script.break_to_client_after(bytes.into(), std::io::ErrorKind::TimedOut);
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

    // ---- those who send

    fn message(&mut self, load: Load) -> OwnedMessage {
        self.sent = self.sent.wrapping_add(1);
        load.message(self.sent)
    }

    fn note(&mut self, message: &OwnedMessage, (result, before, after): Attempt) {
        let fate = self.decide(Sender::Tries, message, before, after);
        assert_eq!(Fate::Told(result), fate);
    }

    fn decide(
        &mut self,
        sender: Sender,
        message: &OwnedMessage,
        before: Sight,
        after: Sight,
    ) -> Fate {
        let frame = load::frame(message).wire();
        self.largest = self.largest.max(frame.len());
        self.closed |= before.open && !after.open;
        self.ledger.send(sender, frame, before, after)
    }

    fn send(&mut self, load: Load) {
        let message = self.message(load);
        let (connection, loaded) = (self.view.connection.clone(), message.clone());
        let mut sending = Held::new(async move {
            if load.prepared {
                connection.send_prepared(&PreparedMessage::new(&loaded)).await
            } else {
                connection.send(&loaded).await
            }
        });
        let before = self.view.sight();
        let result = sending.poll();
        let fate = self.decide(Sender::Waits, &message, before, self.view.sight());
        match result {
            Some(result) => assert_eq!(fate, Fate::Told(result.map_err(TrySendError::Refused))),
            None => {
                assert_eq!(fate, Fate::Waiting);
                self.waiting.push(Waiting::Room(message, sending));
            }
        }
    }

    fn send_from_session(&mut self, loads: Vec<Load>) {
        let messages: Vec<_> =
            loads.iter().map(|load| (self.message(*load), load.prepared)).collect();
        let (view, loaded) = (self.view.clone(), messages.clone());
        let attempts = self.courier.run(&self.sim, move || {
            loaded.iter().map(|(message, prepared)| view.try_send(message, *prepared)).collect()
        });
        for ((message, _), attempt) in messages.iter().zip(attempts) {
            self.note(message, attempt);
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
            self.ledger.control(Frame::ping(payload).wire());
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
            self.ledger.control(frame.wire());
        }
    }

    /// Polls one of those who wait, and lets it go when it is done.
    fn look(&mut self, which: usize) {
        let (before, full) = (self.view.sight(), self.is_full());
        let Some(waiting) = self.waiting.get_mut(which) else { return };
        match waiting {
            Waiting::Room(message, held) => {
                let Some(result) = held.poll() else { return };
                assert!(!full || !before.open);
                let message = message.clone();
                let fate = self.decide(Sender::Waits, &message, before, self.view.sight());
                assert_eq!(fate, Fate::Told(result.map_err(TrySendError::Refused)));
            }
            Waiting::Flush(upto, held) => {
                let Some(result) = held.poll() else { return };
                // It may have written by itself.
                let written = self.view.written();
                let done = written >= (*upto).min(self.ledger.accepted());
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
        self.ledger.is_full(self.view.written())
    }

    // ---- the transport

    fn set_room(&mut self, bytes: usize) {
        self.room = bytes;
        self.view.script.set_capacity_to_client(bytes);
    }

    fn take(&mut self, most: usize) {
        let Some(peer) = &mut self.peer else { return };
        self.ledger.take(&take(peer, most));
        self.view.taken = self.ledger.taken();
    }

    // ---- what must hold

    /// At any time.
    fn check(&self) {
        let (waits, gone) = (self.view.connection.buffered(), self.view.script.dropped_by_server());
        let left = self.ledger.accepted() - self.view.written();
        // A write that has failed loses what was left, and the transport stays to be read.
        let lost = gone || (self.disturbed && !self.view.connection.is_open() && waits == 0);
        assert_eq!(waits, if lost { 0 } else { left }, "gone: {gone}");
        assert!(waits < self.mark + self.largest.max(CONTROL) + CONTROL, "more than one above");
        if !self.disturbed {
            assert_eq!(self.view.connection.is_open(), !self.closed);
        }
    }

    /// Lets everything happen that can, except that time goes on. Then nobody waits without a reason.
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
        let full = self.view.connection.is_open() && self.is_full();
        let over = !self.ended.is_empty();
        for waiting in &self.waiting {
            match waiting {
                Waiting::Room(..) => assert!(full, "there is room, or never will be"),
                Waiting::Flush(upto, _) => {
                    let upto = (*upto).min(self.ledger.accepted());
                    assert!(self.view.written() < upto && !over);
                }
                Waiting::End(_) => assert!(!over),
            }
        }
        let held_up = self.view.script.unread_by_client() >= self.room;
        assert!(waits == 0 || held_up, "{waits} bytes could leave");
    }

    /// A peer that takes nothing is given up, after 30 s or earlier.
    fn wait(&mut self, seconds: u8) {
        self.settle();
        let stuck = self.view.connection.buffered() > 0;
        self.disturbed |= stuck;
        self.sim.run(self.sim.pass(s(seconds.into())));
        assert!(!stuck || seconds <= 30 || !self.ended.is_empty(), "it is waited for");
    }

    /// Lets all leave that can, and the connection end.
    fn finish(mut self) {
        self.view.script.set_piece(usize::MAX);
        self.set_room(usize::MAX);
        self.settle();
        self.take(usize::MAX);
        if !self.disturbed {
            assert_eq!(self.view.taken, self.ledger.accepted(), "all of it arrives");
        }
        self.perform(Act::Vanish);
        self.courier.leave();
        self.sim.run(self.sim.pass(s(60)));
        assert!(!self.ended.is_empty(), "nothing keeps it");
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
