//! The deadlines of TLS handshakes. (That TLS works at all is tested over real sockets.)

use std::{future::pending, io::Read, sync::Arc, time::Duration};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use prism_driver::{
    Client, ConnectError, Runtime, ServerOptions, ServerStats,
    tls::{
        TlsClient, TlsServer,
        rustls::{ServerConfig, crypto::ring, server::ResolvesServerCertUsingSni},
    },
};
use prism_test::{PipeEnd, Sim};

use crate::common::{
    handlers::Echo,
    http::{REQUEST, read_to_end},
    ms,
    net::{Net, Reach},
    s,
    tls::{CERTIFICATE, KEY, client_tls, receive, server_tls, shake_hands},
};

/// Starts a server with TLS and this limit on handshakes. It has no certificate, so no handshake succeeds.
fn server(sim: &Sim, max_handshakes: usize) -> (Net, ServerStats) {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    let net = Net::new(sim);
    let options = ServerOptions::default().max_handshakes(max_handshakes);
    let stats = net.serve(|server| server.tls(config).options(options).websocket("/chat", Echo));
    (net, stats)
}

fn connect_raw(net: &Net) -> PipeEnd {
    net.connect_raw().unwrap().0
}

#[test]
fn over_tls_the_oldest_handshake_is_evicted_after_750_ms() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 2);
    sim.run(async {
        let mut oldest = connect_raw(&net);
        sim.pass(ms(100)).await;
        let [_second, _newcomer] = [(); 2].map(|()| connect_raw(&net));
        assert_eq!(read_to_end(&mut oldest).await, "", "there is no answer");
        assert_eq!(sim.now(), ms(750));
        assert_eq!(stats.counts().refused.evicted, 1);
    });
}

#[test]
fn a_silent_peer_is_dropped_at_the_handshake_timeout_without_an_answer() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 2);
    sim.run(async {
        let mut silent = connect_raw(&net);
        assert_eq!(read_to_end(&mut silent).await, "");
        assert_eq!(sim.now(), s(10));
        let counts = stats.counts();
        assert_eq!((counts.refused.timed_out, counts.incomplete), (1, 0));
    });
}

#[test]
fn a_peer_without_tls_is_dropped_after_5_s() {
    let sim = Sim::default();
    let (net, stats) = server(&sim, 2);
    sim.run(async {
        let (mut io, faults) = net.connect_raw().unwrap();
        io.write_all(REQUEST.as_bytes()).await.unwrap();
        let mut alert = Vec::new();
        io.read_to_end(&mut alert).await.unwrap();
        assert_eq!((alert[0], alert.len()), (21, 7), "{alert:?}");
        assert_eq!((sim.now(), stats.counts().refused.bad_tls), (s(0), 1));
        // It has its time to read the alert, and no more, although it sends much more than a handshake may have.
        io.write_all(&[b'x'; 100_000]).await.unwrap();
        sim.pass(ms(4_999)).await;
        assert!(!faults.dropped_by_server());
        assert_eq!(faults.to_server().unread(), 0);
        sim.pass(ms(1)).await;
        assert!(faults.dropped_by_server());
    });
}

#[test]
fn the_request_has_what_is_left_of_the_handshake_timeout() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    let tls = TlsServer::from_pem(CERTIFICATE, KEY).unwrap();
    let stats = net.serve(|server| server.tls(tls).websocket("/chat", Echo));
    sim.run(async {
        let (mut io, mut tls) = (connect_raw(&net), client_tls());
        // What the TLS handshake takes is not given to the request again.
        sim.pass(s(6)).await;
        shake_hands(&mut io, &mut tls).await;
        assert_eq!(sim.now(), s(6));
        while receive(&mut io, &mut tls).await > 0 {}
        let mut answer = Vec::new();
        tls.reader().read_to_end(&mut answer).expect("TLS's own end");
        assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", answer.escape_ascii());
        assert_eq!((sim.now(), stats.counts().refused.timed_out), (s(10), 1));
    });
}

// ---- a client

#[test]
fn both_handshakes_of_a_client_have_one_deadline() {
    let sim = Sim::default();
    let net = Net::new(&sim);
    net.name("localhost", &[("127.0.0.1:443", Reach::After(Duration::ZERO))]);
    let trust = TlsClient::trusting_pem(CERTIFICATE).unwrap();
    let client = Client::new_on(net.clone(), "wss://localhost/chat").unwrap().tls(trust);
    let server = {
        let (sim, net) = (sim.clone(), net.clone());
        async move {
            let (_, mut io, _script) = net.arrival().await;
            sim.sleep(s(6)).await;
            shake_hands(&mut io, &mut server_tls()).await;
            pending::<()>().await; // it never answers the request
        }
    };
    sim.spawn(server);
    sim.run(async {
        let outcome = client.connect().await;
        assert!(matches!(outcome, Err(ConnectError::TimedOut)), "{:?}", outcome.map(drop));
        assert_eq!(sim.now(), s(10));
    });
}
