//! TLS for other protocols than HTTP: [`ServiceAddress::secure`].

use std::sync::Arc;

use futures_lite::future::zip;
use prism_driver::{
    ServiceAddress,
    tls::{
        TlsClient,
        rustls::{Connection, ServerConnection},
    },
};
use prism_test::{Sim, pipe};

use crate::common::tls::{CERTIFICATE, server_config, shake_hands};

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
