//! `tls://`.

use std::path::PathBuf;

use prism_driver::tls::TlsClient;
use prism_tests::nats_server::NatsServer;

use crate::{
    authority::Authority,
    engine::nats_at,
    node::{Net, Node, next},
};

pub(crate) async fn messages_are_encrypted<N: Net>(program: PathBuf) {
    let authority = Authority::new();
    let (certificate, key) = authority.save("nats", &authority.issue("127.0.0.1"));
    let ca = authority.file();
    let files = format!("cert_file: {certificate:?}, key_file: {key:?}");
    let server =
        NatsServer::start(program.clone(), &format!("max_payload: 2MB, tls {{ {files} }}"));
    let url = server.url("").replace("nats://", "tls://");
    let trusting = || {
        let tls = TlsClient::trusting_pem_file(&ca).expect("an authority");
        nats_at::<N>(&url).tls(tls)
    };
    let here = Node::start::<N>(trusting()).await;
    let there = Node::start::<N>(trusting()).await;
    here.meet::<N>().await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    let text = "x".repeat(1 << 20);
    ann.send(text.as_str()).await.expect("an open connection");
    assert_eq!(next(&ben).await, text);

    let other = TlsClient::trusting_pem_file(Authority::new().file()).expect("an authority");
    let node = Node::start::<N>(nats_at::<N>(&url).tls(other)).await;
    let reason = node.connect_failed().await;
    assert!(reason.contains("127.0.0.1") && reason.contains("trust"), "{reason}");

    let node = Node::on::<N>(&server).await;
    let reason = node.connect_failed().await;
    assert!(reason.ends_with("the server requires TLS; expected \"tls://\""), "{reason}");

    let plain = NatsServer::start(program, "");
    let url = plain.url("").replace("nats://", "tls://");
    let reason = Node::start::<N>(nats_at::<N>(&url)).await.connect_failed().await;
    assert!(reason.contains("the server does not offer TLS"), "{reason}");
}
