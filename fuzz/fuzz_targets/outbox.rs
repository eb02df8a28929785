//! Anything that can be done to a connection's outbox, by anybody, while its peer takes what it
//! likes: the bytes that leave are those of all that was accepted, whole and in order, what waits is
//! counted exactly, and nobody waits who need not.
#![no_main]

use arbitrary::Arbitrary;
use async_channel::Receiver;
use libfuzzer_sys::fuzz_target;
use prism_driver::{
    CloseCode, Connection, Disconnect, Options, OwnedMessage, PreparedMessage, SendError,
    TrySendError,
};
use prism_fuzz::{
    common::frame::Frame,
    courier::Courier,
    driver::{
        self,
        handlers::HandOut,
        pipe::{End, Script, pipe},
        s,
        sim::Sim,
    },
    hands::{Held, end, take},
};

#[derive(Arbitrary, Debug)]
struct Input {
    mark: u16,
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

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Load {
    prepared: bool,
    text: bool,
    len: u16,
}

impl Load {
    fn message(self, filling: u8) -> OwnedMessage {
        let bytes = vec![b'a' + filling % 26; size(self.len)];
        if self.text {
            OwnedMessage::Text(String::from_utf8(bytes).expect("letters"))
        } else {
            OwnedMessage::Binary(bytes)
        }
    }
}

/// A size of one of four orders: messages that are tiny, that are small, that are shared if they are
/// prepared, and that leave from where they lie, or just not.
fn size(any: u16) -> usize {
    usize::from(match any % 4 {
        0 => any % 8,
        1 => any % 100,
        2 => any % 1_024,
        _ => 16_000 + any % 1_000,
    })
}

fuzz_target!(|input: Input| {
    let mut world = World::new(size(input.mark));
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
    connection: Connection,
    script: Script,
    ended: Receiver<Disconnect>,
    /// The peer, until it vanishes.
    peer: Option<End>,
    courier: Courier,
    waiting: Vec<Waiting>,
    /// What was accepted, as it must leave.
    accepted: Vec<u8>,
    /// How much of it the peer has taken.
    taken: usize,
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
    fn new(mark: usize) -> Self {
        let sim = Sim::default();
        let (handler, out) = HandOut::new();
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
            connection,
            script,
            ended,
            peer: Some(peer),
            waiting,
            accepted: Vec::new(),
            taken: 0,
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
                let (message, expected) = (self.message(load), self.expected());
                let result = try_send(&self.connection, &message, load.prepared);
                assert_eq!(result, expected);
                self.note(&message, result.is_ok());
            }
            Act::FromSession(loads) => self.send_from_session(loads),
            Act::Ping(len) => {
                let payload = vec![b'p'; usize::from(len)];
                let expected = self.expected().and(match payload.len() {
                    0..=125 => Ok(()),
                    len => Err(TrySendError::Refused(SendError::ControlTooLong(len))),
                });
                assert_eq!(self.connection.ping(&payload), expected);
                if expected.is_ok() {
                    self.accepted.extend(Frame::ping(payload).wire());
                }
            }
            Act::Close(len) => self.close(len),
            Act::Flush => {
                let connection = self.connection.clone();
                let upto = self.accepted.len();
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
                self.set_room(self.script.unread_by_client() + usize::from(more));
            }
            Act::Piece(bytes) => self.script.set_piece(usize::from(bytes).max(13)),
            Act::Take(most) => self.take(usize::from(most)),
            Act::Break(bytes) => {
                self.disturbed = true;
                self.script.break_to_client_after(bytes.into(), std::io::ErrorKind::TimedOut);
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

    /// What has to become of a message now.
    fn expected(&self) -> Result<(), TrySendError> {
        if !self.connection.is_open() {
            Err(TrySendError::Refused(SendError::Closed))
        } else if self.connection.buffered() >= self.mark {
            Err(TrySendError::Full)
        } else {
            Ok(())
        }
    }

    fn note(&mut self, message: &OwnedMessage, accepted: bool) {
        if accepted {
            let frame = frame(message);
            self.largest = self.largest.max(frame.len());
            self.accepted.extend(frame);
        }
    }

    fn send(&mut self, load: Load) {
        let message = self.message(load);
        let (connection, loaded) = (self.connection.clone(), message.clone());
        let sending = Held::new(async move {
            if load.prepared {
                connection.send_prepared(&PreparedMessage::new(&loaded)).await
            } else {
                connection.send(&loaded).await
            }
        });
        let expected = self.expected();
        self.waiting.push(Waiting::Room(message, sending));
        let waiting = self.waiting.len();
        self.look(waiting - 1);
        assert_eq!(self.waiting.len() == waiting, expected == Err(TrySendError::Full));
    }

    fn send_from_session(&mut self, loads: Vec<Load>) {
        let messages: Vec<_> =
            loads.iter().map(|load| (self.message(*load), load.prepared)).collect();
        let (mark, connection, loaded) = (self.mark, self.connection.clone(), messages.clone());
        let results = self.courier.run(&self.sim, move || {
            let send = |(message, prepared): &(OwnedMessage, bool)| {
                let full = connection.is_open() && connection.buffered() >= mark;
                let result = try_send(&connection, message, *prepared);
                assert_eq!(result == Err(TrySendError::Full), full);
                result
            };
            loaded.iter().map(send).collect()
        });
        for ((message, _), result) in messages.iter().zip(results) {
            self.note(message, result.is_ok());
        }
    }

    fn close(&mut self, len: Option<u8>) {
        let open = self.connection.is_open();
        let reason = "r".repeat(len.unwrap_or(0).into());
        let code = if len.is_some() { CloseCode::NORMAL } else { CloseCode::NO_STATUS };
        let result = self.connection.close(code, &reason);
        let expected = match reason.len() {
            _ if !open => Err(SendError::Closed),
            0..=123 => Ok(()),
            len => Err(SendError::ControlTooLong(len)),
        };
        assert_eq!(result, expected);
        if result.is_ok() {
            self.closed = true;
            let frame = len.map_or_else(Frame::empty_close, |_| Frame::close(1000, &reason));
            self.accepted.extend(frame.wire());
        }
    }

    /// Polls one of those who wait, and lets it go when it is done.
    fn look(&mut self, which: usize) {
        let (open, room) = (self.connection.is_open(), self.connection.buffered() < self.mark);
        let written = self.written();
        let Some(waiting) = self.waiting.get_mut(which) else { return };
        match waiting {
            Waiting::Room(message, held) => {
                let Some(result) = held.poll() else { return };
                assert_eq!(result, if open { Ok(()) } else { Err(SendError::Closed) });
                assert!(room || !open);
                let message = message.clone();
                self.note(&message, result.is_ok());
            }
            Waiting::Flush(upto, held) => {
                let Some(result) = held.poll() else { return };
                assert_eq!(result.is_ok(), written >= *upto, "{written} of {upto} are written");
            }
            Waiting::End(held) => {
                if held.poll().is_none() {
                    return;
                }
                assert!(!open);
            }
        }
        self.waiting.swap_remove(which);
    }

    // ---- the transport

    /// How many bytes the transport has taken.
    fn written(&self) -> usize {
        self.taken + self.script.unread_by_client()
    }

    fn set_room(&mut self, bytes: usize) {
        self.room = bytes;
        self.script.set_capacity_to_client(bytes);
    }

    fn take(&mut self, most: usize) {
        let Some(peer) = &mut self.peer else { return };
        let bytes = take(peer, most);
        let expected = self.accepted.get(self.taken..self.taken + bytes.len());
        assert_eq!(expected, Some(&bytes[..]), "what was accepted, in order");
        self.taken += bytes.len();
    }

    // ---- what must hold

    /// At any time.
    fn check(&self) {
        let (waits, gone) = (self.connection.buffered(), self.script.dropped_by_server());
        let left = self.accepted.len() - self.written();
        assert_eq!(waits, if gone { 0 } else { left }, "gone: {gone}");
        assert!(waits < self.mark + self.largest.max(CONTROL) + CONTROL, "more than one above");
        if !self.disturbed {
            assert_eq!(self.connection.is_open(), !self.closed);
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
        let waits = self.connection.buffered();
        let full = self.connection.is_open() && waits >= self.mark;
        let over = !self.ended.is_empty();
        for waiting in &self.waiting {
            match waiting {
                Waiting::Room(..) => assert!(full, "there is room, or never will be"),
                Waiting::Flush(upto, _) => assert!(self.written() < *upto && !over),
                Waiting::End(_) => assert!(!over),
            }
        }
        let held_up = self.script.unread_by_client() >= self.room;
        assert!(waits == 0 || held_up, "{waits} bytes could leave");
    }

    /// A peer that takes nothing is given up, after 30 s or earlier.
    fn wait(&mut self, seconds: u8) {
        self.settle();
        let stuck = self.connection.buffered() > 0;
        self.disturbed |= stuck;
        self.sim.run(self.sim.pass(s(seconds.into())));
        assert!(!stuck || seconds <= 30 || !self.ended.is_empty(), "it is waited for");
    }

    /// Lets all leave that can, and the connection end.
    fn finish(mut self) {
        self.script.set_piece(usize::MAX);
        self.set_room(usize::MAX);
        self.settle();
        self.take(usize::MAX);
        if !self.disturbed {
            assert_eq!(self.taken, self.accepted.len(), "all of it arrives");
        }
        self.perform(Act::Vanish);
        self.courier.leave();
        self.sim.run(self.sim.pass(s(60)));
        assert!(!self.ended.is_empty(), "nothing keeps it");
        self.settle();
        assert!(self.waiting.is_empty());
        assert_eq!(self.connection.try_send(""), Err(TrySendError::Refused(SendError::Closed)));
    }
}

fn quiet() -> Options {
    let mut options = Options::default();
    options.protocol.ping_interval = None;
    options
}

fn try_send(
    connection: &Connection,
    message: &OwnedMessage,
    prepared: bool,
) -> Result<(), TrySendError> {
    if prepared {
        connection.try_send_prepared(&PreparedMessage::new(message))
    } else {
        connection.try_send(message)
    }
}

fn frame(message: &OwnedMessage) -> Vec<u8> {
    match message {
        OwnedMessage::Text(text) => Frame::text(text).wire(),
        OwnedMessage::Binary(bytes) => Frame::binary(bytes).wire(),
    }
}
