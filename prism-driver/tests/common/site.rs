//! Servers in memory, and requests to them by hand.

use async_channel::{Receiver, Sender, bounded};
use futures_lite::AsyncWriteExt;
use prism_driver::{Runtime, Server, Shutdown};
use prism_test::{Faults, PipeEnd, Sim};

use super::{
    http::{REQUEST, read_head},
    net::Net,
};

/// Runs a server with these routes and settings.
pub fn start(sim: &Sim, set: impl FnOnce(Server<Net>) -> Server<Net>) -> Net {
    let net = Net::new(sim);
    let bound = sim.run(Server::bind_on(net.clone(), "127.0.0.1:0")).unwrap();
    sim.spawn(set(bound).serve());
    sim.run(sim.settle());
    net
}

/// Runs a server until the returned sender is closed. Returns how the shutdown ended as well.
pub fn serve_until_closed(sim: &Sim, server: Server<Net>) -> (Sender<()>, Receiver<Shutdown>) {
    let (stop, stopped) = bounded::<()>(1);
    let (ended, outcome) = bounded(1);
    sim.spawn(async move {
        let shutdown = async { while stopped.recv().await.is_ok() {} };
        // Not every test needs it.
        let _ = ended.try_send(server.serve_until(shutdown).await);
    });
    (stop, outcome)
}

/// Returns an upgrade request for this target.
pub fn request(target: &str) -> String {
    REQUEST.replace("/chat?room=1", target)
}

/// Sends bytes on a new connection.
pub async fn send(net: &Net, bytes: impl AsRef<[u8]>) -> (PipeEnd, Faults) {
    let (mut io, faults) = net.connect_raw().unwrap();
    io.write_all(bytes.as_ref()).await.unwrap();
    (io, faults)
}

/// Sends an upgrade request for this target, with these header lines instead of `X-Token`. Returns the head of the
/// answer.
pub async fn ask(net: &Net, target: &str, lines: &str) -> (String, PipeEnd, Faults) {
    let request = request(target).replace("X-Token: abc\r\n", lines);
    let (mut io, faults) = send(net, request).await;
    (read_head(&mut io).await, io, faults)
}

/// Asserts the status of the answer to such a request.
#[track_caller]
pub fn status(sim: &Sim, net: &Net, target: &str, lines: &str, expected: u16) {
    let (head, ..) = sim.run(ask(net, target, lines));
    assert!(head.starts_with(&format!("HTTP/1.1 {expected} ")), "{target} {lines}: {head}");
}
