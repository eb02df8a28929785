//! Peers that read slowly: they get everything, and are not taken for dead.

use futures_lite::AsyncReadExt;
use prism_driver::{CloseCode, Connection, Options};
use prism_test::{Peer, Sim};

use crate::common::{handlers::HandOut, s, serve};

const MESSAGE: usize = 60_000;

/// Opens a connection, and sends its peer a message through a pipe of 1,000 bytes.
fn slow(sim: &Sim, options: Options) -> (Peer, Connection) {
    let (handler, out) = HandOut::new();
    let (peer, faults, _) = serve(sim, handler, options);
    faults.to_client().set_capacity(1_000);
    let connection = sim.run(async {
        let connection = out.recv().await.unwrap();
        connection.send(&vec![7; MESSAGE]).await.unwrap();
        connection
    });
    (peer, connection)
}

/// Reads 1,000 bytes a second, to the end of the transport or until `most` bytes have arrived. Returns
/// how many arrived.
async fn read_slowly(sim: &Sim, peer: &mut Peer, most: usize) -> usize {
    let mut count = 0;
    while count < most {
        match peer.io().read(&mut [0; 1_000]).await {
            Ok(0) | Err(_) => break,
            Ok(read) => count += read,
        }
        sim.pass(s(1)).await;
    }
    count
}

#[test]
fn a_slow_reader_gets_everything_and_the_close_frame() {
    let sim = Sim::default();
    let mut options = Options::default();
    options.protocol.ping_interval = None;
    let (mut peer, connection) = slow(&sim, options);
    sim.run(async {
        assert!(connection.close(CloseCode::NORMAL, ""));
        assert_eq!(read_slowly(&sim, &mut peer, usize::MAX).await, MESSAGE + 4 + 4);
    });
}

#[test]
fn a_slow_reader_is_not_timed_out_by_a_queued_ping() {
    let sim = Sim::default();
    let (mut peer, connection) = slow(&sim, Options::default());
    sim.run(async {
        // This takes far longer than the keepalive waits for an answer.
        assert!(read_slowly(&sim, &mut peer, MESSAGE + 4).await >= MESSAGE + 4);
        assert!(connection.is_open());
    });
}
