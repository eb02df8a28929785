//! TLS for other protocols than HTTP: [`ServiceAddress::secure`].

use std::{io::Read, sync::Arc};

use futures_lite::{AsyncReadExt, AsyncWriteExt, future::zip};
use prism_driver::{
    Runtime, ServiceAddress,
    tls::{
        TlsClient,
        rustls::{Connection, ServerConnection},
    },
};
use prism_test::{Sim, pipe};

use crate::common::{
    s,
    tls::{CERTIFICATE, server_config, shake_hands},
};

/// Less than the encrypted bytes that may wait.
const LEN: usize = 45_000;

/// How many bytes the pipe holds.
const PIECE: usize = 1_000;

#[test]
fn another_protocol_offers_no_http() {
    let (mut server, client, _) = pipe();
    let mut config = server_config();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut tls: Connection = ServerConnection::new(Arc::new(config)).unwrap().into();
    let trusting = TlsClient::trusting_pem(CERTIFICATE).unwrap();
    let address = ServiceAddress::parse("localhost", 6379).unwrap();
    let handshake = address.secure(&trusting, client);
    let (stream, ()) = Sim::new().run(zip(handshake, shake_hands(&mut server, &mut tls)));
    assert!(stream.is_ok());
    assert_eq!(tls.alpn_protocol(), None);
}

/// Over TLS, a flush that has to wait says now and then what the peer has taken, as an error. Others than Prism's own
/// sessions would take that for a failure.
#[test]
fn a_flush_to_a_slow_server_is_complete_when_it_ends() {
    let (mut server, client, faults) = pipe();
    let mut tls: Connection = ServerConnection::new(Arc::new(server_config())).unwrap().into();
    let trusting = TlsClient::trusting_pem(CERTIFICATE).unwrap();
    let address = ServiceAddress::parse("localhost", 6379).unwrap();
    let sim = Sim::new();
    let handshake = address.secure(&trusting, client);
    let (stream, ()) = sim.run(zip(handshake, shake_hands(&mut server, &mut tls)));
    let mut stream = stream.unwrap();
    faults.to_server().set_capacity(PIECE);
    let flush = async {
        stream.write_all(&[7; LEN]).await.unwrap();
        assert!(sim.now() < s(5), "{:?}", sim.now());
        stream.flush().await.unwrap();
        assert!(sim.now() > s(40), "{:?}", sim.now());
    };
    let read = async {
        let (mut count, mut plain) = (0, vec![0; LEN]);
        while count < LEN {
            sim.pass(s(1)).await;
            let mut piece = [0; PIECE];
            let read = server.read(&mut piece).await.unwrap();
            tls.read_tls(&mut &piece[..read]).unwrap();
            tls.process_new_packets().unwrap();
            count += tls.reader().read(&mut plain).unwrap_or(0);
        }
    };
    sim.run(zip(flush, read));
}
