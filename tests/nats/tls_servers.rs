//! Servers with TLS, and without.

use std::path::PathBuf;

use crate::{
    authority::Authority,
    engine::{self, nats_at},
    node::{Net, Node},
};

pub(crate) async fn a_server_that_requires_tls_is_named<N: Net>(program: PathBuf) {
    let server = engine::start_with_tls(program, &Authority::new());
    let reason = Node::on::<N>(&server).await.connect_failed().await;
    assert!(reason.ends_with("the server requires TLS; expected \"tls://\""), "{reason}");
}

pub(crate) async fn a_server_without_tls_is_refused<N: Net>(program: PathBuf) {
    let server = engine::start(program);
    let reason = Node::start::<N>(nats_at::<N>(&server.tls_url())).await.connect_failed().await;
    assert!(reason.contains("the server does not offer TLS"), "{reason}");
}
