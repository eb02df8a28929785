//! Servers with TLS, and without.

use std::path::PathBuf;

use prism_driver::tls::TlsClient;
use prism_tests::redis_server::RedisServer;

use crate::{
    authority::Authority,
    engine,
    logins::{guide, talk_and_remember},
    node::{Net, Node, redis_at},
};

pub(crate) async fn tls_needs_a_url_that_says_so<N: Net>(program: PathBuf) {
    let redis = engine::start(program);
    let tls = TlsClient::trusting_pem_file(Authority::new().file()).expect("an authority");
    let node = Node::start::<N>(redis_at::<N>(&redis.url("")).tls(tls)).await;
    let reason = node.connect_failed().await;
    assert!(reason.contains("expected \"rediss://\""), "{reason}");
}

/// A server that accepts only TLS, and on which a user has only the rights that it needs.
pub(crate) async fn the_configuration_in_the_guide_works<N: Net>(program: PathBuf) {
    let authority = Authority::new();
    let (certificate, key) = authority.save("redis", &authority.issue("127.0.0.1"));
    let arguments = guide()
        .join(" ")
        .replace("/etc/redis/redis.pem", &certificate.display().to_string())
        .replace("/etc/redis/redis.key", &key.display().to_string());
    let redis = RedisServer::start(program, &arguments.split(' ').collect::<Vec<_>>());
    let at = |login| {
        let tls = TlsClient::trusting_pem_file(authority.file()).expect("an authority");
        let url = format!("rediss://{login}{}/", redis.tls_address());
        redis_at::<N>(&url).prefix("shop").tls(tls)
    };
    talk_and_remember(|| at("shop:secret@")).await;
    for (login, refusal) in [("", "NOAUTH"), ("shop:wrong@", "WRONGPASS")] {
        let reason = Node::start::<N>(at(login)).await.connect_failed().await;
        assert!(reason.contains(refusal), "{reason}");
    }
    // Without TLS there is nothing.
    let unencrypted = redis_at::<N>(&redis.url("shop:secret@")).prefix("shop");
    let reason = Node::start::<N>(unencrypted).await.connect_failed().await;
    assert!(reason.contains("refused"), "{reason}");
}
