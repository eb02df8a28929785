//! Requests that reach `WebSockets` through an HTTP server that is not there.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, Version};
use prism_driver::{HttpRequest, Opening, WebSockets, WebSocketsBuilder};

use prism_test::{Peer, Sim, pipe};

use super::handlers::Echo;

pub fn websockets(
    sim: &Sim,
    set: impl FnOnce(WebSocketsBuilder<Sim>) -> WebSocketsBuilder<Sim>,
) -> WebSockets<Sim> {
    set(WebSockets::builder()).build_on(sim.clone())
}

/// An upgrade request of HTTP/1.1.
pub fn request(target: &str) -> Request<()> {
    Request::get(target)
        .header("Host", "example.org")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
        .body(())
        .expect("a valid request")
}

pub fn with_header(name: &'static str, value: &'static str) -> Request<()> {
    let mut request = request("/chat");
    request.headers_mut().append(name, value.parse().expect("a valid value"));
    request
}

/// An extended CONNECT of HTTP/2.
pub fn connect(target: &str) -> Request<()> {
    Request::builder()
        .method("CONNECT")
        .version(Version::HTTP_2)
        .uri(format!("https://example.org{target}"))
        .header("Sec-WebSocket-Version", "13")
        .body(())
        .expect("a valid request")
}

pub fn of(request: &Request<()>) -> HttpRequest<'_> {
    HttpRequest::of(request)
}

pub fn addr(addr: &str) -> SocketAddr {
    addr.parse().expect("an address")
}

/// Accepts a request. Returns the peer of its connection, which is not served yet.
pub async fn accept(
    websockets: &WebSockets<Sim>,
    request: HttpRequest<'_>,
) -> Result<(Response<()>, Opening<Sim>), Response<Bytes>> {
    Ok(websockets.upgrade(request).await?.accept())
}

/// Opens a connection for which the handler is `Echo`.
pub async fn open(websockets: &WebSockets<Sim>, request: HttpRequest<'_>) -> Peer {
    let (_, opening) = accept(websockets, request).await.expect("it is accepted");
    let (server, client, _) = pipe();
    opening.serve(server, Echo);
    Peer::new(client)
}

pub async fn status(websockets: &WebSockets<Sim>, request: HttpRequest<'_>) -> u16 {
    match accept(websockets, request).await {
        Ok((response, _)) => response.status().as_u16(),
        Err(refusal) => refusal.status().as_u16(),
    }
}
