//! `rediss://`.

use std::path::PathBuf;

use prism_driver::tls::TlsClient;
use prism_tests::redis_server::RedisServer;

use crate::{
    authority::Authority,
    logins::{guide, talk_and_remember},
    node::{Net, Node, next, redis_at},
};

/// Returns the arguments with which a server has a certificate, with spaces in between.
pub(crate) fn arguments(authority: &Authority) -> String {
    let (certificate, key) = authority.save("redis", &authority.issue("127.0.0.1"));
    let [certificate, key, ca] =
        [certificate, key, authority.file()].map(|path| path.display().to_string());
    format!(
        "--tls-cert-file {certificate} --tls-key-file {key} --tls-ca-cert-file {ca} --tls-auth-clients no"
    )
}

pub(crate) async fn messages_are_encrypted<N: Net>(program: PathBuf) {
    let authority = Authority::new();
    let (arguments, ca) = (arguments(&authority), authority.file());
    let redis = RedisServer::start(program, &arguments.split(' ').collect::<Vec<_>>());
    let url = redis.tls_url();
    let trusting = || {
        let tls = TlsClient::trusting_pem_file(&ca).expect("an authority");
        redis_at::<N>(&url).tls(tls)
    };
    let here = Node::start::<N>(trusting()).await;
    let there = Node::start::<N>(trusting()).await;
    here.meet::<N>().await;
    let (ann, ben) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    let text = "x".repeat(1 << 20);
    ann.send(text.as_str()).await.expect("an open connection");
    assert_eq!(next(&ben).await, text);

    let other = TlsClient::trusting_pem_file(Authority::new().file()).expect("an authority");
    let node = Node::start::<N>(redis_at::<N>(&url).tls(other)).await;
    let reason = node.connect_failed().await;
    assert!(reason.contains("127.0.0.1") && reason.contains("trust"), "{reason}");

    let tls = TlsClient::trusting_pem_file(&ca).expect("an authority");
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
