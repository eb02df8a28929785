//! What happens to the bytes in a pipe.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::Duration,
};

use async_channel::{Receiver, bounded};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWriteExt, future::poll_once};
use prism_driver::{CloseCode, Options, ProtocolError, Runtime};
use prism_test::{Faults, Peer, PipeEnd, Received, Recorded, Recorder, Sim, pipe};

const UNEXPECTED_END: Received = Received::End(Err(ProtocolError::UnexpectedEof));

/// Returns what an end can read now.
async fn available(io: &mut PipeEnd) -> Option<Vec<u8>> {
    let mut buffer = [0; 100];
    let count = poll_once(io.read(&mut buffer)).await?.unwrap();
    Some(buffer[..count].to_vec())
}

/// Reads until the end or an error, in a task, which runs only when it is woken.
fn read_in_task(sim: &Sim, mut io: PipeEnd) -> Receiver<(Vec<u8>, io::Result<usize>)> {
    let (sender, receiver) = bounded(1);
    sim.spawn(async move {
        let mut bytes = Vec::new();
        let outcome = io.read_to_end(&mut bytes).await;
        let _ = sender.send((bytes, outcome)).await; // the test may have failed
    });
    receiver
}

fn recorded(sim: &Sim) -> (Recorder, Peer, Faults) {
    let recorder = Recorder::new();
    let (peer, faults) = sim.serve(recorder.clone(), Options::default());
    sim.run(sim.settle());
    (recorder, peer, faults)
}

#[test]
fn a_stalled_direction_keeps_its_bytes_and_takes_no_more() {
    let (mut server, mut client, faults) = pipe();
    Sim::new().run(async {
        server.write_all(b"before").await.unwrap();
        faults.to_client().stall();
        assert_eq!(available(&mut client).await, None);
        assert!(poll_once(server.write(b"while")).await.is_none());
        client.write_all(b"the other direction").await.unwrap();
        assert_eq!(available(&mut server).await.unwrap(), b"the other direction");
        faults.to_client().resume();
        assert_eq!(available(&mut client).await.unwrap(), b"before");
    });
}

#[test]
fn a_reset_destroys_what_is_on_its_way_and_reaches_both_ends() {
    let (mut server, mut client, faults) = pipe();
    Sim::new().run(async {
        server.write_all(b"lost").await.unwrap();
        faults.reset();
        for io in [&mut server, &mut client] {
            let error = io.read(&mut [0; 10]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            assert!(io.write(b"more").await.is_err());
        }
    });
}

#[test]
fn a_connection_is_cut_after_so_many_bytes() {
    let (mut server, mut client, faults) = pipe();
    faults.to_client().fail_after(3, ErrorKind::TimedOut);
    Sim::new().run(async {
        assert_eq!(server.write(b"hello").await.unwrap(), 3);
        assert_eq!(available(&mut client).await.unwrap(), b"hel");
        assert_eq!(server.write(b"lo").await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(client.read(&mut [0; 10]).await.unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_cut_reaches_a_reader_that_waits() {
    for (held, allowed) in [(false, 3), (true, 3), (false, 0)] {
        let sim = Sim::new();
        let (mut server, client, faults) = pipe();
        if held {
            faults.hold_until_flushed();
        }
        let reading = read_in_task(&sim, client);
        sim.run(async {
            sim.settle().await;
            faults.to_client().fail_after(allowed, ErrorKind::TimedOut);
            assert_eq!(server.write(b"hello").await.unwrap_or(0), allowed);
            let (bytes, outcome) = reading.recv().await.unwrap();
            assert_eq!(bytes, b"hello"[..allowed]);
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::TimedOut);
        });
    }
}

#[test]
fn an_end_hears_of_the_other_ones_drop_only_after_a_stall() {
    for unread in [false, true] {
        let (server, mut client, faults) = pipe();
        Sim::new().run(async {
            client.write_all(if unread { b"unread" } else { b"" }).await.unwrap();
            faults.stall();
            drop(server);
            assert_eq!(available(&mut client).await, None);
            assert!(poll_once(client.write(b"more")).await.is_none());
            faults.resume();
            let read = client.read(&mut [0; 10]).await.map_err(|error| error.kind());
            assert_eq!(read, if unread { Err(ErrorKind::ConnectionReset) } else { Ok(0) });
            assert_eq!(client.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    }
}

#[test]
fn a_reset_is_held_back_with_the_bytes_of_its_direction() {
    let (server, mut client, faults) = pipe();
    Sim::new().run(async {
        faults.to_client().stall();
        drop(server);
        assert_eq!(client.write(b"arrives nowhere").await.unwrap(), 15);
        assert_eq!(available(&mut client).await, None);
        faults.to_client().resume();
        let error = client.read(&mut [0; 10]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_reset_ends_a_write_that_waits_in_the_other_direction() {
    let sim = Sim::new();
    let (server, mut client, faults) = pipe();
    let (sender, outcome) = bounded(1);
    sim.run(async {
        client.write_all(b"unread").await.unwrap();
        faults.stall();
        sim.spawn(async move { sender.send(client.write(b"more").await).await.unwrap() });
        sim.settle().await;
        drop(server);
        sim.settle().await;
        assert!(outcome.is_empty());
        faults.to_client().resume();
        assert_eq!(outcome.recv().await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_client_notices_a_lost_server_by_its_own_keepalive() {
    let (sim, recorder) = (Sim::new(), Recorder::new());
    sim.start_server("chat.example", |server| server.websocket("/", recorder.clone()));
    sim.run(async {
        let socket = sim.client("ws://chat.example/").connect().await.unwrap();
        sim.settle().await;
        sim.last_connection().unwrap().stall();
        recorder.connections()[0].abort(); // the server gives up first
        sim.settle().await;
        assert!(socket.connection().is_open());
        assert_eq!(socket.recv().await.unwrap_err().code(), 1006);
        assert!(sim.now() > Duration::from_secs(20));
    });
}

/// A waker of a task that owns an end of a pipe.
struct Owner(#[expect(dead_code, reason = "dropped with the waker")] PipeEnd);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_own_the_other_end() {
    let wake = |_: &mut PipeEnd, faults: &Faults| faults.to_server().insert(b"wake up");
    let replace = |server: &mut PipeEnd, _: &Faults| poll_read(server, Waker::noop());
    for free in [wake as fn(&mut PipeEnd, &Faults), replace] {
        let (mut server, client, faults) = pipe();
        poll_read(&mut server, &Waker::from(Arc::new(Owner(client))));
        assert!(!faults.dropped_by_client());
        free(&mut server, &faults);
        assert!(faults.dropped_by_client());
    }
}

fn poll_read(io: &mut PipeEnd, waker: &Waker) {
    let polled = Pin::new(io).poll_read(&mut Context::from_waker(waker), &mut [0; 10]);
    assert!(polled.is_pending());
}

#[test]
fn the_close_frame_is_lost_whatever_comes_before_it() {
    for len in [0, 1, 125, 126, 65_535, 65_536] {
        for piece in [1, 3, usize::MAX] {
            let sim = Sim::new();
            let (recorder, mut peer, faults) = recorded(&sim);
            faults.set_piece(piece);
            faults.to_client().lose_close_frame();
            let connection = &recorder.connections()[0];
            sim.run(async {
                connection.send(vec![8; len]).await.unwrap();
                connection.close(CloseCode::NORMAL, "not heard");
                assert_eq!(peer.next().await, Received::Binary(vec![8; len]));
                assert_eq!(peer.next_but_pings().await, UNEXPECTED_END);
            });
        }
    }
}

#[test]
fn a_masked_close_frame_is_lost_too() {
    let sim = Sim::new();
    let (recorder, mut peer, faults) = recorded(&sim);
    faults.to_server().lose_close_frame();
    sim.run(async {
        peer.send_and_close(&["", "heard"], 1000, "not heard").await;
        peer.end().await;
        peer.all().await;
    });
    let [
        Recorded::Connect,
        Recorded::Text(_),
        Recorded::Text(heard),
        Recorded::Disconnect(code, _),
    ] = &recorder.events()[..]
    else {
        panic!("{:?}", recorder.events());
    };
    assert_eq!((&**heard, *code), ("heard", 1006));
}
