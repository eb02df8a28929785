//! A session on a transport that does as the input says, with a handler and a peer that do, too: the
//! contract of handlers holds, whatever happens and whenever it is dropped.
#![no_main]

use std::io::ErrorKind;

use arbitrary::Arbitrary;
use async_channel::{Receiver, Sender, bounded, unbounded};
use futures_lite::future::or;
use libfuzzer_sys::fuzz_target;
use prism_core::Role;
use prism_driver::{
    AcceptError, Connection, Disconnect, Failure, Options, OwnedMessage, ProtocolError, Rate,
    Runtime, serve_stream, serve_upgraded,
};
use prism_fuzz::{
    LIMIT, Part,
    actor::{Actor, Diary, Mood},
    common::{
        Seen,
        frame::{BINARY, CLOSE, PING, PONG, TEXT, sent_by},
        machine::{Machine, limited},
    },
    driver::{
        http::REQUEST,
        pipe::{End, Script, pipe},
        s,
        sim::Sim,
    },
    hands::{end, give, take, whole_frames},
    load, wire,
};

#[derive(Arbitrary, Debug)]
struct Input {
    /// It begins with a handshake.
    shakes: bool,
    pings: bool,
    /// How many messages are taken in a second, and at once.
    rate: Option<(u8, u8)>,
    mark: u8,
    moods: Vec<Mood>,
    acts: Vec<Act>,
    /// How the peer goes at the end: without a word, or once it has heard all.
    vanishes: bool,
}

#[derive(Arbitrary, Debug)]
enum Act {
    /// The peer sends.
    Say(Part),
    /// So much of it gets to the server.
    Carry(u16),
    /// The peer takes so many bytes.
    Take(u16),
    End,
    Vanish,
    /// So many tasks have their turn.
    Run(u8),
    /// Everything happens that can, and so many seconds pass.
    Pass(u8),
    /// A handler that waits goes on.
    GoOn,
    /// Somebody else sends, and waits for room.
    Send(u16),
    Ping(u8),
    Close(u8),
    Abort,
    Fail(Fault),
    /// Whoever serves the connection does so no more.
    Drop,
}

/// What the transport does from now on.
#[derive(Arbitrary, Debug)]
enum Fault {
    /// It moves so many bytes at a time.
    Piece(u8),
    /// It keeps what is written until it is flushed.
    Hold,
    /// It holds so many bytes.
    Room(u16),
    FailOnce,
    FailAfter(u16),
    FailReads,
    FailFlush,
    FailClose,
    BlockClose,
}

fuzz_target!(|input: Input| {
    let mut world = World::new(&input);
    for act in input.acts.into_iter().take(200) {
        world.perform(act);
        world.check();
    }
    world.finish(input.vanishes);
    world.judge();
});

/// How it was for whoever served it, unless the session was dropped.
type Ending = Option<Result<Disconnect, AcceptError>>;

struct World {
    sim: Sim,
    actor: Actor,
    connection: Option<Connection>,
    connected: Receiver<Connection>,
    go_on: Option<Sender<()>>,
    cut: Sender<()>,
    ended: Receiver<Ending>,
    script: Script,
    /// The peer, until it vanishes.
    peer: Option<End>,
    /// What the peer has to say, and how much of it the server has got.
    says: Vec<u8>,
    given: usize,
    /// What the peer has heard.
    hears: Vec<u8>,
    shakes: bool,
    mark: usize,
    /// The peer has ended its side.
    over: bool,
    /// The transport may fail, or not take all that is written.
    faulty: bool,
}

impl World {
    fn new(input: &Input) -> Self {
        let sim = Sim::default();
        let (server, peer, script) = pipe();
        let (go_on, waits) = unbounded();
        let (tell, connected) = bounded(1);
        let actor = Actor::new(&sim, input.moods.clone(), waits, tell);
        let mut options = Options::default();
        options.protocol = limited(LIMIT);
        options.high_water_mark = input.mark.into();
        options.message_rate = input
            .rate
            .map(|(per_second, burst)| Rate { per_second: per_second.into(), burst: burst.into() });
        if input.pings {
            options.protocol.ping_interval = Some(s(20));
        }
        let (cut, ended) = serve(&sim, server, actor.clone(), options, input.shakes);
        Self {
            sim,
            actor,
            connection: None,
            connected,
            go_on: Some(go_on),
            cut,
            ended,
            script,
            peer: Some(peer),
            says: if input.shakes { REQUEST.into() } else { Vec::new() },
            given: 0,
            hears: Vec::new(),
            shakes: input.shakes,
            mark: input.mark.into(),
            over: false,
            faulty: false,
        }
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Say(part) => self.says.extend(wire(Role::Client, &[part])),
            Act::Carry(most) => self.carry(most.into()),
            Act::Take(most) => self.take(most.into()),
            Act::End => {
                self.over = true;
                self.peer.iter_mut().for_each(end);
            }
            Act::Vanish => {
                (self.over, self.faulty) = (true, true);
                self.peer = None;
            }
            Act::Run(turns) => {
                let _ = (0..turns).all(|_| self.sim.tick());
            }
            Act::Pass(seconds) => self.sim.run(self.sim.pass(s(seconds.into()))),
            Act::GoOn => {
                let go_on = self.go_on.as_ref().expect("not finished");
                // Nobody may be there any more.
                let _ = go_on.try_send(());
            }
            Act::Fail(fault) => self.fail(fault),
            Act::Drop => {
                self.actor.diary().dropped = true;
                // Once is enough.
                let _ = self.cut.try_send(());
            }
            Act::Send(_) | Act::Ping(_) | Act::Close(_) => self.use_connection(act),
            Act::Abort => self.abort(),
        }
        if let Ok(connection) = self.connected.try_recv() {
            self.connection = Some(connection);
        }
    }

    fn use_connection(&self, act: Act) {
        let Some(connection) = self.connection.clone() else { return };
        match act {
            Act::Send(len) => {
                let actor = self.actor.clone();
                actor.diary().waiting += 1;
                self.sim.spawn(async move {
                    // It may be closing already.
                    let _ = actor.send(&connection, len).await;
                    actor.diary().waiting -= 1;
                });
            }
            Act::Ping(len) => {
                // It may be full or closing.
                let _ = connection.ping(&vec![b'p'; len.into()]);
            }
            Act::Close(code) => self.actor.close(&connection, code),
            _ => {}
        }
    }

    fn abort(&mut self) {
        let Some(connection) = &self.connection else { return };
        self.faulty = true;
        self.actor.diary().aborted = true;
        connection.abort();
        assert!(self.script.dropped_by_server() && !connection.is_open());
        assert_eq!(self.actor.diary().ended, 1, "its hook has run");
    }

    fn fail(&mut self, fault: Fault) {
        let script = &self.script;
        self.faulty |= !matches!(fault, Fault::Piece(_) | Fault::Hold);
        match fault {
            Fault::Piece(bytes) => script.set_piece(usize::from(bytes).max(1)),
            Fault::Hold => script.hold_until_flushed(),
            Fault::Room(bytes) => script.set_capacity_to_client(bytes.into()),
            Fault::FailOnce => script.fail_to_client_once(ErrorKind::TimedOut),
            Fault::FailAfter(bytes) => {
                script.break_to_client_after(bytes.into(), ErrorKind::BrokenPipe);
            }
            Fault::FailReads => script.break_to_server(ErrorKind::ConnectionReset),
            Fault::FailFlush => script.break_flush(ErrorKind::TimedOut),
            Fault::FailClose => script.break_close(ErrorKind::NotConnected),
            Fault::BlockClose => script.block_close(),
        }
    }

    fn carry(&mut self, most: usize) {
        let Some(peer) = &mut self.peer else { return };
        // As with TCP, that destroys what was on its way back.
        self.faulty |= self.script.dropped_by_server();
        let rest = &self.says[self.given..];
        self.given += give(peer, &rest[..most.min(rest.len())]);
    }

    fn take(&mut self, most: usize) {
        if let Some(peer) = &mut self.peer {
            self.hears.extend(take(peer, most));
        }
    }

    /// At any time.
    fn check(&self) {
        let Some(connection) = &self.connection else { return };
        let waits = connection.buffered();
        // A message, an answer to the handshake, and pongs.
        assert!(waits < self.mark + 2_100 + 400 + 1_500, "{waits} bytes wait");
        if self.script.dropped_by_server() {
            assert!(waits == 0 && !connection.is_open());
        }
    }

    /// The handler is let go, the peer goes, and then the session has to end by itself.
    fn finish(&mut self, vanishes: bool) {
        self.go_on = None;
        if vanishes {
            self.perform(Act::Vanish);
        } else {
            self.carry(usize::MAX);
            self.perform(Act::End);
            self.script.set_capacity_to_client(usize::MAX);
        }
        while self.ended.is_empty() {
            assert!(self.sim.step(), "it waits for ever");
            self.take(usize::MAX);
        }
        while self.sim.tick() {}
        self.take(usize::MAX);
        assert_eq!(self.actor.diary().waiting, 0, "a sender waits for ever");
        assert!(self.script.dropped_by_server());
        self.check();
    }

    fn judge(&self) {
        let ending = self.ended.try_recv().expect("it has ended");
        let diary = self.actor.diary();
        assert_eq!(diary.ended, usize::from(diary.connected));
        let head = if self.shakes { REQUEST.len() } else { 0 };
        let given = &self.says[..self.given];
        let seen = Machine::new(Role::Server, &limited(LIMIT))
            .receive(given.get(head..).unwrap_or_default());
        let messages: Vec<_> = seen.iter().filter_map(message).collect();
        assert!(messages.starts_with(&diary.heard), "each message, once and in order");
        let all_heard = messages.len() == diary.heard.len() || diary.closed.is_some();
        if !diary.connected {
            // It was dropped early, or there was no handshake.
            assert!(!matches!(ending, Some(Ok(_))) && diary.heard.is_empty());
            return;
        }
        let written = self.judge_output(&seen, &diary.accepted);
        let Some(ending) = ending else { return };
        let reason = ending.expect("no handler without a handshake");
        let farewell = diary.farewell.as_ref().expect("the handler was told");
        assert_eq!(format!("{farewell:?}"), format!("{reason:?}"));
        match reason {
            Disconnect::Peer { code, reason } => {
                assert_eq!(seen.last(), Some(&Seen::Close(code.into(), reason)));
                assert!(all_heard && (written || self.faulty));
            }
            Disconnect::Local { code, reason } => {
                assert_eq!(diary.closed, Some((code, reason)));
                assert!(matches!(seen.last(), Some(Seen::Close(..))));
                assert!(written || self.faulty);
            }
            Disconnect::Failed(failure) => self.judge_failure(&failure, &diary, &seen, all_heard),
            _ => panic!("not known: {reason}"),
        }
    }

    fn judge_failure(&self, failure: &Failure, diary: &Diary, seen: &[Seen], all_heard: bool) {
        match failure {
            Failure::Aborted => assert!(diary.aborted),
            Failure::HandlerPanicked => assert!(diary.panicked),
            Failure::Io(_) | Failure::WriteStalled => assert!(self.faulty),
            Failure::Protocol(ProtocolError::UnexpectedEof) => {
                assert!(self.over && (all_heard || self.faulty));
            }
            Failure::Protocol(ProtocolError::KeepaliveTimeout | ProtocolError::CloseTimeout) => {}
            Failure::Protocol(error) => {
                assert_eq!(seen.last(), Some(&Seen::Error(*error)));
                assert!(all_heard);
            }
            _ => panic!("nobody has done this: {failure}"),
        }
    }

    /// What the peer has heard are whole frames, nothing behind a close frame, what was accepted, in
    /// order, and answers to pings; whether it is all of it, with a close frame.
    fn judge_output(&self, seen: &[Seen], accepted: &[OwnedMessage]) -> bool {
        let mut hears = &self.hears[..];
        if self.shakes {
            let end = hears.windows(4).position(|end| end == b"\r\n\r\n");
            hears = end.map_or(&[], |end| &hears[end + 4..]);
        }
        let frames = sent_by(Role::Server, whole_frames(hears));
        let (mut sent, mut pings) = (accepted.iter(), seen.iter());
        for (i, frame) in frames.iter().enumerate() {
            match frame.opcode() {
                TEXT | BINARY => assert_eq!(sent.next().map(load::frame).as_ref(), Some(frame)),
                PONG => {
                    let asked = |seen: &Seen| *seen == Seen::Ping(frame.payload.clone());
                    assert!(pings.any(asked), "each pong answers a ping");
                }
                PING => {}
                _ => assert!(frame.opcode() == CLOSE && i + 1 == frames.len(), "{frames:?}"),
            }
        }
        sent.len() == 0 && frames.last().is_some_and(|frame| frame.opcode() == CLOSE)
    }
}

/// Serves the transport's end in a task; how to drop it there, and how it ended.
fn serve(
    sim: &Sim,
    io: End,
    actor: Actor,
    options: Options,
    shakes: bool,
) -> (Sender<()>, Receiver<Ending>) {
    let (cut, to_cut) = bounded(1);
    let (tell, ended) = bounded(1);
    let runtime = sim.clone();
    sim.spawn(async move {
        let serving = async {
            Some(if shakes {
                serve_stream(runtime, io, &options, &actor).await
            } else {
                Ok(serve_upgraded(runtime, io, "/", &options, &actor).await)
            })
        };
        let cutting = async {
            to_cut.recv().await.expect("it can be cut to its end");
            None
        };
        tell.try_send(or(serving, cutting).await).expect("once");
    });
    (cut, ended)
}

fn message(seen: &Seen) -> Option<OwnedMessage> {
    match seen {
        Seen::Text(text) => Some(OwnedMessage::Text(text.clone())),
        Seen::Binary(bytes) => Some(OwnedMessage::Binary(bytes.clone())),
        _ => None,
    }
}
