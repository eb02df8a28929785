//! Messages over TLS.

use std::path::PathBuf;

use prism_driver::tls::TlsClient;

use crate::{
    authority::Authority,
    engine,
    node::{Net, Node, next},
};

pub(crate) async fn messages_are_encrypted<N: Net>(program: PathBuf) {
    let authority = Authority::new();
    let broker = engine::start_with_tls(program, &authority);
    let trusting = |authority: &Authority| {
        let tls = TlsClient::trusting_pem_file(authority.file()).expect("an authority");
        engine::tls_backplane::<N>(&broker, tls)
    };
    let here = Node::start::<N>(trusting(&authority)).await;
    let there = Node::start::<N>(trusting(&authority)).await;
    here.meet::<N>().await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    let text = "x".repeat(1 << 20);
    ann.send(text.as_str()).await.expect("an open connection");
    assert_eq!(next(&ben).await, text);

    let reason = Node::start::<N>(trusting(&Authority::new())).await.connect_failed().await;
    assert!(reason.contains("127.0.0.1") && reason.contains("trust"), "{reason}");
}
