//! Hostile peers: what they send is made to confuse the reader of a log.

use fastrand::Rng;
use futures_lite::AsyncWriteExt;
use prism_driver::Runtime;
use prism_test::{Peer, PipeEnd, Sim};

use super::{http::read_head, ms, net::Net};

/// The letters that hostile peers write, and nobody else does.
pub const LETTERS: [char; 3] = ['Ж', 'Щ', 'Ы'];

/// What a log should never contain as it is.
const TRICKS: [&str; 13] = [
    "\r\n",
    "\n",
    "\x1b[31m",
    "\0",
    "\x08",
    "\u{202e}",
    "\u{2028}",
    "\u{85}",
    "\"",
    "\\",
    "%0d%0a",
    " code=1000 kind=\"us\" ",
    " missed=0 lived_ms=1 ",
];

/// Returns hostile text with at most this many pieces.
fn text(rng: &mut Rng, pieces: usize) -> String {
    let mut text = String::new();
    for _ in 0..rng.usize(..=pieces) {
        match rng.bool() {
            true => text.extend((0..rng.usize(1..80)).map(|_| LETTERS[rng.usize(..3)])),
            false => text.push_str(TRICKS[rng.usize(..TRICKS.len())]),
        }
    }
    text
}

/// Returns a request for one of these paths, in which anything may be hostile.
fn hostile_request(rng: &mut Rng, paths: &[&str]) -> Vec<u8> {
    let path = paths[rng.usize(..paths.len())];
    let path = if rng.bool() { format!("{path}?{}", text(rng, 2)) } else { text(rng, 3) };
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nOrigin: {}\r\nUser-Agent: {}\r\n\
         Sec-WebSocket-Protocol: {}\r\nX-Forwarded-For: {}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        text(rng, 1),
        text(rng, 2),
        text(rng, 4),
        text(rng, 2),
        text(rng, 2),
    )
    .into_bytes();
    if rng.u8(..4) == 0 {
        let at = rng.usize(..request.len());
        request[at] = rng.u8(..);
    }
    request
}

/// Sends a hostile request, and leaves.
pub async fn request(net: &Net, sim: &Sim, rng: &mut Rng, paths: &[&str]) {
    let Some((mut io, _)) = net.connect_raw() else { return };
    let request = hostile_request(rng, paths);
    let sent = rng.usize(..=2 * request.len()).min(request.len());
    io.write_all(&request[..sent]).await.unwrap();
    sim.sleep(ms(rng.u64(..100))).await;
}

/// Opens a connection, sends hostile frames on it, and ends it in a hostile way.
pub async fn connection(net: &Net, sim: &Sim, rng: &mut Rng, request: &str) {
    let Some(mut peer) = open(net, request).await else { return };
    for _ in 0..rng.u8(..4) {
        match rng.u8(..4) {
            0 => peer.send(text(rng, 6).as_str()).await,
            1 => peer.ping(text(rng, 1).as_bytes().get(..2).unwrap_or_default()).await,
            2 => peer.send("panic").await,
            _ => sim.sleep(ms(rng.u64(..2000))).await,
        }
    }
    match rng.u8(..4) {
        0 => drop(peer),
        1 => peer.raw(&std::array::from_fn::<_, 40, _>(|_| rng.u8(..))).await,
        _ => {
            // The core cuts the reason where a frame has no more room for it.
            let code = [1000, 1011, 3000, 4999][rng.usize(..4)];
            peer.close(code, &text(rng, 4)).await;
            peer.all().await;
        }
    }
}

async fn open(net: &Net, request: &str) -> Option<Peer> {
    let (mut io, _): (PipeEnd, _) = net.connect_raw()?;
    io.write_all(request.as_bytes()).await.unwrap();
    read_head(&mut io).await.starts_with("HTTP/1.1 101 ").then(|| Peer::new(io))
}
