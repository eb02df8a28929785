//! Peers that read slowly over TLS. The last 48 KiB wait encrypted, outside of the outbox. A peer that takes them fast
//! enough is not given up.

use std::io::Read;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use prism_driver::{
    Reply, Runtime, ServerStats,
    tls::{TlsServer, rustls::Connection},
};
use prism_test::{Faults, PipeEnd, Sim};

use crate::common::{
    handlers::HandOut,
    http::REQUEST,
    net::Net,
    s,
    tls::{CERTIFICATE, KEY, connect_tls, encrypt},
};

/// Less than the encrypted bytes that may wait, and more than a record.
const LEN: usize = 45_000;

/// How many bytes the pipe holds.
const PIECE: usize = 1_000;

/// Sends a request to a server whose pipe to the client holds little.
async fn request(net: &Net, request: &str) -> (PipeEnd, Faults, Connection) {
    let (mut io, faults, mut tls) = connect_tls(net).await;
    faults.to_client().set_capacity(PIECE);
    io.write_all(&encrypt(&mut tls, request.as_bytes())).await.unwrap();
    (io, faults, tls)
}

/// Reads a piece each `seconds`, until that many bytes have been decrypted. Returns how many were.
async fn read_slowly(
    sim: &Sim,
    io: &mut PipeEnd,
    tls: &mut Connection,
    seconds: u64,
    most: usize,
) -> usize {
    let (mut count, mut plain) = (0, vec![0; 1 << 16]);
    while count < most {
        sim.pass(s(seconds)).await;
        let mut input = [0; PIECE];
        let Ok(read @ 1..) = io.read(&mut input).await else { break };
        assert_eq!(tls.read_tls(&mut &input[..read]).unwrap(), read);
        tls.process_new_packets().unwrap();
        count += tls.reader().read(&mut plain).unwrap_or(0);
    }
    count
}

fn serve(sim: &Sim) -> (Net, ServerStats, async_channel::Receiver<prism_driver::Connection>) {
    let net = Net::new(sim);
    let tls = TlsServer::from_pem(CERTIFICATE, KEY).unwrap();
    let (handler, out) = HandOut::new();
    let page = |_| Reply::text(200, "x".repeat(LEN));
    let stats = net.serve(|server| server.tls(tls).websocket("/chat", handler).get("/page", page));
    (net, stats, out)
}

#[test]
fn a_peer_that_takes_the_last_bytes_at_the_minimum_rate_gets_them_all() {
    let sim = Sim::default();
    let (net, _, out) = serve(&sim);
    sim.run(async {
        let (mut io, _script, mut tls) = request(&net, REQUEST).await;
        let connection = out.recv().await.unwrap();
        connection.send(&vec![7; LEN]).await.unwrap();
        sim.settle().await;
        assert_eq!(connection.buffered(), 0, "all of it is encrypted");
        // 333 bytes per second; the minimum is 240, and the write timeout is 30 s.
        let count = read_slowly(&sim, &mut io, &mut tls, 3, LEN).await;
        assert!(count > LEN, "{count}");
        assert!(sim.now() > s(40), "{:?}", sim.now());
        assert!(connection.is_open());
    });
}

#[test]
fn a_peer_that_takes_the_last_bytes_too_slowly_is_given_up() {
    let sim = Sim::default();
    let (net, _, out) = serve(&sim);
    sim.run(async {
        let (mut io, faults, mut tls) = request(&net, REQUEST).await;
        let connection = out.recv().await.unwrap();
        connection.send(&vec![7; LEN]).await.unwrap();
        // 200 bytes per second.
        read_slowly(&sim, &mut io, &mut tls, 5, LEN).await;
        assert!(faults.dropped_by_server());
        assert!(!connection.is_open());
    });
}

#[test]
fn a_peer_that_takes_the_end_of_a_page_at_the_minimum_rate_gets_it() {
    let sim = Sim::default();
    let (net, stats, _) = serve(&sim);
    sim.run(async {
        let page = "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let (mut io, _script, mut tls) = request(&net, page).await;
        let count = read_slowly(&sim, &mut io, &mut tls, 3, usize::MAX).await;
        assert!(count > LEN, "{count}");
        assert!(sim.now() > s(40), "{:?}", sim.now());
        assert_eq!(stats.counts().incomplete, 0);
    });
}
