//! Who may use a server.

use std::path::PathBuf;

use prism_tests::nats_server::NatsServer;

use crate::{
    engine::nats_at,
    node::{Net, Node, next},
};

/// A server for one user, who may use these subjects.
fn users(publish: &str, subscribe: &str) -> String {
    format!(
        "authorization {{ users: [ {{ user: ann, password: secret, \
         permissions: {{ publish: \"{publish}\", subscribe: \"{subscribe}\" }} }} ] }}"
    )
}

pub(crate) async fn the_configuration_in_the_guide_works<N: Net>(program: PathBuf) {
    let guide = include_str!("../../prism-rooms-nats/docs/nats.md");
    let (_, block) = guide.split_once("```text\nlisten: \"10.0.0.5:4222\"\n").expect("a block");
    let (configuration, _) = block.split_once("```").expect("its end");
    let server = NatsServer::start(program, configuration);
    let backplane = || nats_at::<N>(&server.url("shop:secret@")).prefix("shop").expect("a prefix");
    let (here, there) = (Node::start::<N>(backplane()).await, Node::start::<N>(backplane()).await);
    here.meet::<N>().await;
    let (ben, eve) = (here.join::<N>("tea").await, there.join::<N>("tea").await);
    ben.send("hello").await.expect("an open connection");
    assert_eq!(next(&eve).await, "hello");
    let reason = Node::on::<N>(&server).await.connect_failed().await;
    assert!(reason.contains("NATS refused: Authorization Violation"), "{reason}");
}

pub(crate) async fn a_wrong_password_is_reported<N: Net>(program: PathBuf) {
    let server = NatsServer::start(program, &users(">", ">"));
    for login in ["ann:wrong@", "eve:secret@", "secret@", ""] {
        let node = Node::start::<N>(nats_at::<N>(&server.url(login))).await;
        let reason = node.connect_failed().await;
        assert!(reason.contains("Authorization Violation; expected a user and"), "{reason}");
        assert!(!reason.contains("wrong") && !reason.contains("secret"), "{reason}");
    }
    let node = Node::start::<N>(nats_at::<N>(&server.url("ann:secret@"))).await;
    node.connected::<N>().await;
}

pub(crate) async fn a_token_is_a_login<N: Net>(program: PathBuf) {
    let server = NatsServer::start(program, "authorization { token: \"s3:cret\" }");
    let node = Node::start::<N>(nats_at::<N>(&server.url("s3%3Acret@"))).await;
    node.connected::<N>().await;
    let reason = Node::start::<N>(nats_at::<N>(&server.url("other@"))).await.connect_failed().await;
    assert!(reason.contains("Authorization Violation"), "{reason}");
}

pub(crate) async fn a_key_is_a_login<N: Net>(program: PathBuf) {
    // The second and the third key of RFC 8032 §7.1.
    const SEED: &str = "SUAEZTIITMUP7FW2TW3MGRXMCFHA6W4KGGPTLK5GETNIZ5XNJ64KN63OVI";
    const PUBLIC: &str = "UA6UAF6D5BBYSWUSW4FKOTI3P26JZGBMZ4XMJFUMYDGVL4JK6RTAYUDN";
    const OTHER_SEED: &str = "SUAMLKUN6Q7Z7A335W3UILZR3S33CZWTQU2QO3YJJOC44OROBNCFR54NIM";
    let server = NatsServer::start(
        program.clone(),
        &format!("authorization {{ users: [ {{ nkey: {PUBLIC} }} ] }}"),
    );
    let with = |server: &NatsServer, seed| {
        nats_at::<N>(&server.url("")).credentials(seed).expect("a seed")
    };
    Node::start::<N>(with(&server, SEED)).await.connected::<N>().await;
    let reason = Node::start::<N>(with(&server, OTHER_SEED)).await.connect_failed().await;
    assert!(reason.contains("NATS refused: Authorization Violation; expected"), "{reason}");
    assert!(!reason.contains(OTHER_SEED), "{reason}");
    let server = NatsServer::start(program, &users(">", ">"));
    let reason = Node::start::<N>(with(&server, SEED)).await.connect_failed().await;
    assert!(reason.contains("the server has no users with keys; expected one"), "{reason}");
}

/// Its key is the second one of RFC 8032 §7.1.
pub(crate) async fn a_credentials_file_is_a_login<N: Net>(program: PathBuf) {
    let server = NatsServer::start(program, include_str!("operator.conf"));
    let credentials = include_str!("user.creds");
    let with = |text: &str| nats_at::<N>(&server.url("")).credentials(text).expect("credentials");
    Node::start::<N>(with(credentials)).await.connected::<N>().await;
    let (_, only_seed) = credentials.split_once("------END NATS USER JWT").expect("a JWT");
    let reason = Node::start::<N>(with(only_seed)).await.connect_failed().await;
    assert!(reason.contains("NATS refused: Authorization Violation; expected"), "{reason}");
}

pub(crate) async fn a_user_without_the_subjects_is_told_so<N: Net>(program: PathBuf) {
    for (publish, subscribe, what) in
        [("prism.>", "shop.>", "Subscription"), ("shop.>", "prism.>", "Publish")]
    {
        let server = NatsServer::start(program.clone(), &users(publish, subscribe));
        let node = Node::start::<N>(nats_at::<N>(&server.url("ann:secret@"))).await;
        let reason = node.connect_failed().await;
        let expected = format!("NATS refused: Permissions Violation for {what} to \"prism.");
        assert!(reason.contains(&expected), "{reason}");
        assert!(reason.contains("expected a user that may publish and subscribe"), "{reason}");
    }
}
