//! What happens to the bytes in a pipe.

use std::io::ErrorKind;

use futures_lite::{AsyncReadExt, AsyncWriteExt, future::poll_once};
use prism_driver::{CloseCode, Options, ProtocolError};
use prism_test::{Faults, Peer, PipeEnd, Received, Recorded, Recorder, Sim, pipe};

const UNEXPECTED_END: Received = Received::End(Err(ProtocolError::UnexpectedEof));

/// Returns what an end can read now.
async fn available(io: &mut PipeEnd) -> Option<Vec<u8>> {
    let mut buffer = [0; 100];
    let count = poll_once(io.read(&mut buffer)).await?.unwrap();
    Some(buffer[..count].to_vec())
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
