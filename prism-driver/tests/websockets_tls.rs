//! `WebSockets` under an HTTP server that does TLS itself.

use std::sync::Arc;

use prism_driver::{
    Connection, Handler, Message, Reply, Request,
    tls::{TlsInfo, rustls},
};
use prism_test::{Peer, Sim, pipe};

use crate::common::{
    text,
    tls::{client_tls, encrypt, server_tls},
    websockets::{accept, of, request, websockets},
};

/// Does a TLS handshake in memory, and returns what the server knows of it.
fn shake_hands() -> Arc<TlsInfo> {
    let (mut client, mut server) = (client_tls(), server_tls());
    while client.is_handshaking() || server.is_handshaking() {
        let (from_client, from_server) = (encrypt(&mut client, b""), encrypt(&mut server, b""));
        for (tls, mut received) in [(&mut server, &from_client[..]), (&mut client, &from_server)] {
            while !received.is_empty() {
                tls.read_tls(&mut received).expect("reading memory does not fail");
                tls.process_new_packets().expect("both speak TLS");
            }
        }
    }
    match server {
        rustls::Connection::Server(server) => TlsInfo::of_server(&server),
        rustls::Connection::Client(_) => unreachable!("it is the server's end"),
    }
}

#[test]
fn authorization_and_on_connect_see_what_tls_has_agreed_on() {
    struct Name;

    impl Handler for Name {
        async fn on_connect(&self, connection: &Connection) {
            let tls = connection.tls().expect("it is over TLS");
            let name = tls.server_name().expect("the client names it");
            connection.send(name).await.expect("there is room");
        }

        async fn on_message(&self, _: &Connection, _: Message<'_>) {}
    }

    let sim = Sim::default();
    let websockets = websockets(&sim, |it| {
        it.authorize(|request: Request| async move {
            let tls = request.tls().ok_or_else(|| Reply::text(403, "only over TLS"))?;
            assert_eq!(tls.server_name(), Some("localhost"));
            Ok(())
        })
    });
    sim.run(async {
        let request = request("/chat");
        let plain = accept(&websockets, of(&request)).await.expect_err("without TLS");
        assert_eq!(plain.status(), 403);
        let over_tls = of(&request).tls(shake_hands());
        let (_, opening) = accept(&websockets, over_tls).await.expect("it is valid");
        let (server, client, _) = pipe();
        opening.serve(server, Name);
        assert_eq!(Peer::new(client).next().await, text("localhost"));
    });
}
