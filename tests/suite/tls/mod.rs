//! Servers and clients over TLS.

mod certificates;
mod client_certificates;
mod client_limits;
mod endings;
mod floods;
mod info;
mod limits;
mod messages;
mod providers;
mod reconnect;
mod renegotiation;
mod trust;

use prism_driver::Network;

use super::support::{
    authority::{Authority, Pair},
    block_on,
    handlers::Echo,
    resolver::FixedResolver,
    server::{TestServer, serve},
};
use crate::{
    prism::{
        ConnectError, OwnedMessage, Socket,
        tls::{TlsClient, TlsServer},
    },
    runtime,
};

/// A client of a scenario's own server.
type Client = prism_driver::Client<FixedResolver<runtime::Network>>;

fn tls_of(pair: &Pair) -> TlsServer {
    TlsServer::from_pem(&pair.certificate, &pair.key).expect("a good pair")
}

/// Runs an echo server that has this certificate.
fn serve_tls(pair: &Pair) -> TestServer {
    serve(|server| server.tls(tls_of(pair)).websocket("/", Echo))
}

fn trust(authority: &Authority) -> TlsClient {
    TlsClient::trusting_pem_file(authority.file()).expect("a certificate")
}

/// Returns a client for a server of this name, which trusts this authority.
fn client(server: &TestServer, name: &str, authority: &Authority) -> Client {
    client_with(server, name, trust(authority))
}

fn client_with(server: &TestServer, name: &str, tls: impl Into<TlsClient>) -> Client {
    let url = format!("wss://{name}:{}/", server.address().port());
    let resolver = FixedResolver::new(vec![server.address()]);
    prism_driver::Client::new_on(resolver, &url).expect("a good address").tls(tls)
}

async fn echo(socket: &Socket, text: &str) {
    socket.send(text).await.expect("the connection is open");
    assert_eq!(socket.recv().await.expect("an echo"), OwnedMessage::Text(text.into()));
}

/// Returns what a client says that does not connect.
fn refusal<N: Network>(client: prism_driver::Client<N>) -> String {
    match block_on(client.connect()) {
        Err(error @ ConnectError::Tls(_)) => error.to_string(),
        other => panic!("expected a TLS error, not {other:?}"),
    }
}
