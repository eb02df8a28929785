//! Runs a session whose transport, handler and peer all do what the input says. The contract of handlers
//! holds, whatever happens and whenever the session is dropped.
#![no_main]

use std::io::ErrorKind;

use arbitrary::Arbitrary;
use async_channel::{Receiver, Sender, bounded, unbounded};
use futures_lite::future::or;
use libfuzzer_sys::fuzz_target;
use prism_core::{Role, deflate::DeflateParams};
use prism_driver::{Connection, Options, Rate, Runtime, serve_stream, serve_upgraded};
use prism_fuzz::{
    LIMIT, Part,
    agreement::{self, Agreement},
    common::machine::limited,
    drive::{end, give, take},
    driver::{http::REQUEST, s},
    encode_all,
    ended_session::{EndedSession, Ending},
    handler::{Behavior, ScriptedHandler},
};
use prism_test::{Faults, PipeEnd, Sim, pipe};

#[derive(Arbitrary, Debug)]
struct Case {
    /// Whether the session begins with a handshake.
    with_handshake: bool,
    /// What the handshake agrees on for compression.
    agreement: Option<Agreement>,
    pings: bool,
    /// The rate of messages per second, and the burst.
    rate: Option<(u8, u8)>,
    mark: u8,
    behaviors: Vec<Behavior>,
    acts: Vec<Act>,
    /// Whether the peer vanishes at the end, instead of reading everything first.
    vanishes: bool,
}

#[derive(Arbitrary, Debug)]
enum Act {
    /// The peer sends this.
    Say(Part),
    /// This many of its bytes reach the server.
    Carry(u16),
    /// The peer takes this many bytes.
    Take(u16),
    End,
    Vanish,
    /// This many tasks are polled.
    Run(u8),
    /// All tasks run, and this many seconds pass.
    Pass(u8),
    /// A waiting handler goes on.
    GoOn,
    /// Another task sends, and waits for room.
    Send(u16),
    Ping(u8),
    Close(u8),
    Abort,
    Fail(Fault),
    /// The session is dropped.
    Drop,
}

/// What the transport does from now on.
#[derive(Arbitrary, Debug)]
enum Fault {
    /// It moves at most this many bytes at a time.
    Piece(u8),
    /// It buffers what is written until it is flushed.
    Hold,
    /// It holds this many bytes.
    Room(u16),
    FailOnce,
    FailAfter(u16),
    FailReads,
    FailFlush,
    FailClose,
    BlockClose,
}

fuzz_target!(|input: Case| {
    let mut scenario = Scenario::new(&input);
    for act in input.acts.into_iter().take(200) {
        scenario.perform(act);
        scenario.check();
    }
    scenario.finish(input.vanishes);
    scenario.judge();
});

struct Scenario {
    sim: Sim,
    handler: ScriptedHandler,
    connection: Option<Connection>,
    connected: Receiver<Connection>,
    go_on: Option<Sender<()>>,
    cut: Sender<()>,
    ended: Receiver<Ending>,
    faults: Faults,
    /// The peer, until it vanishes.
    peer: Option<PipeEnd>,
    /// The bytes that the peer sends, and how many of them the server has received.
    to_send: Vec<u8>,
    given: usize,
    /// The bytes that the peer has received.
    received: Vec<u8>,
    /// The length of the request.
    head: usize,
    params: Option<DeflateParams>,
    mark: usize,
    /// Whether the peer has ended its side.
    over: bool,
    /// Whether the transport may fail, or not take all that is written.
    faulty: bool,
}

impl Scenario {
    fn new(input: &Case) -> Self {
        let sim = Sim::default();
        let (server, peer, faults) = pipe();
        let (go_on, waits) = unbounded();
        let (tell, connected) = bounded(1);
        let handler = ScriptedHandler::new(&sim, input.behaviors.clone(), waits, tell);
        let mut options = Options::default();
        options.protocol = limited(LIMIT);
        options.high_water_mark = input.mark.into();
        options.message_rate = input
            .rate
            .map(|(per_second, burst)| Rate { per_second: per_second.into(), burst: burst.into() });
        if input.pings {
            options.protocol.ping_interval = Some(s(20));
        }
        let (mut request, mut params) = (String::new(), None);
        if input.with_handshake {
            request.push_str(REQUEST);
        }
        if input.with_handshake
            && let Some(agreement) = input.agreement
        {
            request = agreement::request();
            options.protocol.deflate = Some(agreement.settings());
            params = Some(agreement.answered());
        }
        let (cut, ended) = serve(&sim, server, handler.clone(), options, input.with_handshake);
        Self {
            sim,
            handler,
            connection: None,
            connected,
            go_on: Some(go_on),
            cut,
            ended,
            faults,
            peer: Some(peer),
            head: request.len(),
            params,
            to_send: request.into_bytes(),
            given: 0,
            received: Vec::new(),
            mark: input.mark.into(),
            over: false,
            faulty: false,
        }
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Say(part) => self.to_send.extend(encode_all(Role::Client, &[part])),
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
                // The handler may be gone.
                let _ = go_on.try_send(());
            }
            Act::Fail(fault) => self.fail(fault),
            Act::Drop => {
                self.handler.record().dropped = true;
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
                let handler = self.handler.clone();
                handler.record().waiting += 1;
                self.sim.spawn(async move {
                    // The connection may be closing already.
                    let _ = handler.send(&connection, len).await;
                    handler.record().waiting -= 1;
                });
            }
            Act::Ping(len) => {
                // The outbox may be full, or the connection closing.
                let _ = connection.ping(&vec![b'p'; len.into()]);
            }
            Act::Close(code) => self.handler.close(&connection, code),
            _ => {}
        }
    }

    fn abort(&mut self) {
        let Some(connection) = &self.connection else { return };
        self.faulty = true;
        self.handler.record().aborted = true;
        connection.abort();
        assert!(self.faults.dropped_by_server() && !connection.is_open());
        assert_eq!(self.handler.record().ended, 1, "its hook has run");
    }

    fn fail(&mut self, fault: Fault) {
        let faults = &self.faults;
        self.faulty |= !matches!(fault, Fault::Piece(_) | Fault::Hold);
        match fault {
            Fault::Piece(bytes) => faults.set_piece(usize::from(bytes).max(1)),
            Fault::Hold => faults.hold_until_flushed(),
            Fault::Room(bytes) => faults.to_client().set_capacity(bytes.into()),
            Fault::FailOnce => faults.to_client().fail_next_write(ErrorKind::TimedOut),
            Fault::FailAfter(bytes) => {
                faults.to_client().fail_after(bytes.into(), ErrorKind::BrokenPipe);
            }
            Fault::FailReads => faults.to_server().fail(ErrorKind::ConnectionReset),
            Fault::FailFlush => faults.to_client().fail_flush(ErrorKind::TimedOut),
            Fault::FailClose => faults.to_client().fail_close(ErrorKind::NotConnected),
            Fault::BlockClose => faults.to_client().block_close(),
        }
    }

    fn carry(&mut self, most: usize) {
        let Some(peer) = &mut self.peer else { return };
        // As with TCP, this destroys what was on its way back.
        self.faulty |= self.faults.dropped_by_server();
        let rest = &self.to_send[self.given..];
        self.given += give(peer, &rest[..most.min(rest.len())]);
    }

    fn take(&mut self, most: usize) {
        if let Some(peer) = &mut self.peer {
            self.received.extend(take(peer, most));
        }
    }

    /// Checks what must hold at any time.
    fn check(&self) {
        let Some(connection) = &self.connection else { return };
        let waits = connection.buffered();
        // One message, the answer to the handshake, and pongs.
        assert!(waits < self.mark + 2_100 + 400 + 1_500, "{waits} bytes wait");
        if self.faults.dropped_by_server() {
            assert!(waits == 0 && !connection.is_open());
        }
    }

    /// Releases the handler and ends the peer. Then the session has to end by itself.
    fn finish(&mut self, vanishes: bool) {
        self.go_on = None;
        if vanishes {
            self.perform(Act::Vanish);
        } else {
            self.carry(usize::MAX);
            self.perform(Act::End);
            self.faults.to_client().set_capacity(usize::MAX);
        }
        while self.ended.is_empty() {
            assert!(self.sim.step(), "the session never ends");
            self.take(usize::MAX);
        }
        while self.sim.tick() {}
        self.take(usize::MAX);
        assert_eq!(self.handler.record().waiting, 0, "a sender waits forever");
        assert!(self.faults.dropped_by_server());
        self.check();
    }

    fn judge(&self) {
        let ending = self.ended.try_recv().expect("it has ended");
        let session = EndedSession {
            record: &self.handler.record(),
            head: self.head,
            params: self.params,
            given: &self.to_send[..self.given],
            received: &self.received,
            over: self.over,
            faulty: self.faulty,
        };
        session.judge(ending);
    }
}

/// Serves the server's end in a task. Returns how to drop the session, and how it ended.
fn serve(
    sim: &Sim,
    io: PipeEnd,
    handler: ScriptedHandler,
    options: Options,
    with_handshake: bool,
) -> (Sender<()>, Receiver<Ending>) {
    let (cut, to_cut) = bounded(1);
    let (tell, ended) = bounded(1);
    let runtime = sim.clone();
    sim.spawn(async move {
        let serving = async {
            Some(if with_handshake {
                serve_stream(runtime, io, &options, handler).await
            } else {
                Ok(serve_upgraded(runtime, io, "/", &options, handler).await)
            })
        };
        let cutting = async {
            to_cut.recv().await.expect("the sender outlives the session");
            None
        };
        tell.try_send(or(serving, cutting).await).expect("once");
    });
    (cut, ended)
}
