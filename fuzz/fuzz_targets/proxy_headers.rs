//! Feeds any bytes to a server behind proxies: as what a trusted proxy sends before a request, and as what a client has
//! put into the header to which its proxy appends.
#![no_main]

use futures_lite::AsyncWriteExt;
use libfuzzer_sys::fuzz_target;
use prism_driver::{ForwardedHeader, Reply, Request, Server};
use prism_fuzz::driver::{http::read_to_end, net::Net, site::serve_until_closed};
use prism_test::Sim;

/// Speaks the PROXY protocol.
const FOR_TCP: &str = "127.0.0.1:1";
/// Appends to `X-Forwarded-For` or `Forwarded`.
const FOR_HTTP: &str = "127.0.0.2:1";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fuzz_target!(|bytes: &[u8]| {
    let preface = [bytes, GET].concat();
    let whole = answer(ForwardedHeader::XForwardedFor, FOR_TCP, &preface, usize::MAX);
    assert_eq!(answer(ForwardedHeader::XForwardedFor, FOR_TCP, &preface, 1), whole);

    let is_allowed = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    let forged: Vec<u8> = bytes.iter().copied().filter(is_allowed).take(4096).collect();
    for (header, name, appended) in [
        (ForwardedHeader::XForwardedFor, "X-Forwarded-For", "192.0.2.1"),
        (ForwardedHeader::Forwarded, "Forwarded", "for=192.0.2.1"),
        (ForwardedHeader::Forwarded, "Forwarded", "for=\"192.0.2.1:0\";proto=https"),
    ] {
        for separator in [", ".to_owned(), format!("\r\n{name}: ")] {
            let line = [name.as_bytes(), b": ", &forged, separator.as_bytes(), appended.as_bytes()];
            let request = [b"GET / HTTP/1.1\r\nHost: a\r\n", &line.concat()[..], b"\r\n\r\n"];
            let answer = answer(header, FOR_HTTP, &request.concat(), usize::MAX);
            let is_honest = answer.ends_with("\r\n\r\n192.0.2.1:0");
            // A line of `Forwarded` with the client's nonsense is malformed as a whole.
            let may_be_refused = header == ForwardedHeader::Forwarded && separator == ", ";
            let is_refused = may_be_refused && answer.starts_with("HTTP/1.1 400 ");
            assert!(is_honest || is_refused, "{answer}");
        }
    }
});

/// Returns the answer to what this peer sends, in pieces of this size.
fn answer(header: ForwardedHeader, peer: &str, bytes: &[u8], piece: usize) -> String {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).expect("it is in memory");
    let server = bound.proxy_protocol(["127.0.0.1"]).expect("an address");
    let server = server.trust_proxies(header, ["127.0.0.2"]).expect("an address");
    let page = |request: Request| Reply::text(200, request.peer_addr().to_string());
    let (stop, stopped) = serve_until_closed(&sim, server.get("/", page));
    sim.run(async {
        sim.settle().await;
        let (mut io, faults) = net.connect_from(peer).expect("the server listens");
        faults.set_piece(piece);
        // The server may refuse what it has read, and not read the rest.
        let _ = io.write_all(bytes).await;
        let answer = read_to_end(&mut io).await;
        drop(io);
        // A server that runs forever would keep its simulation, which keeps the server.
        stop.close();
        stopped.recv().await.expect("the server ends");
        sim.settle().await;
        answer
    })
}
