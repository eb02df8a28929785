//! RFC 6455 §5.3 and §10.3: a client's mask keys are fresh and unpredictable, and so are its handshake
//! keys. The tests look at the bytes that a client sends.

use std::collections::HashSet;

use async_channel::bounded;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use prism_core::accept_key;
use prism_driver::Runtime;
use prism_test::{PipeEnd, Sim, pipe};

use crate::common::{http::read_head, sockets::client};

const CONNECTIONS: usize = 200;
const FRAMES: usize = 100;

/// Returns the handshake key and the mask keys of one connection.
async fn keys_of_a_connection(sim: &Sim) -> (String, Vec<u32>) {
    let (mut server, io, _) = pipe();
    let (tell, told) = bounded(1);
    let connecting = client(sim);
    sim.spawn(async move {
        tell.send(connecting.connect_stream(io).await.unwrap()).await.unwrap();
    });
    let handshake_key = answer(&mut server).await;
    let socket = told.recv().await.unwrap();
    let mut keys = Vec::new();
    for _ in 0..FRAMES {
        // Masked zeros are the key itself, so a header with another key is noticed as well.
        socket.send(&[0; 4]).await.unwrap();
        let mut frame = [0; 10];
        server.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame[..2], [0x82, 0x84]);
        assert_eq!(frame[2..6], frame[6..], "masked with the key that the header names");
        keys.push(u32::from_be_bytes([frame[2], frame[3], frame[4], frame[5]]));
    }
    (handshake_key, keys)
}

/// Accepts a request by hand, and returns its `Sec-WebSocket-Key`.
async fn answer(server: &mut PipeEnd) -> String {
    let head = read_head(server).await;
    let mut lines = head.lines();
    let key = lines.find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap().to_owned();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(&key)
    );
    server.write_all(answer.as_bytes()).await.unwrap();
    key
}

fn all_keys() -> (Vec<String>, Vec<Vec<u32>>) {
    let sim = Sim::default();
    sim.run(async {
        let (mut handshakes, mut masks) = (Vec::new(), Vec::new());
        for _ in 0..CONNECTIONS {
            let (handshake, keys) = keys_of_a_connection(&sim).await;
            handshakes.push(handshake);
            masks.push(keys);
        }
        (handshakes, masks)
    })
}

/// Asserts that each bit is set in about half of the words. Eight standard deviations are allowed, which
/// random bits exceed less than once in 10^13 runs.
#[track_caller]
fn assert_bits_are_even(words: &[u32], what: &str) {
    let (count, half) = (words.len() as f64, words.len() as f64 / 2.0);
    let slack = 8.0 * (count / 4.0).sqrt();
    for bit in 0..32 {
        let set = words.iter().filter(|word| *word >> bit & 1 == 1).count() as f64;
        assert!((set - half).abs() < slack, "{what}: bit {bit} is set in {set} of {count}");
    }
}

#[test]
fn mask_keys_neither_repeat_nor_correlate() {
    let (handshakes, masks) = all_keys();
    let distinct: HashSet<_> = handshakes.iter().collect();
    assert_eq!(distinct.len(), CONNECTIONS, "each handshake has its own key");

    // Among 20,000 random keys of 32 bits, one run in 22 has an equal pair; six never occur.
    let all: Vec<u32> = masks.iter().flatten().copied().collect();
    let distinct: HashSet<_> = all.iter().collect();
    assert!(all.len() - distinct.len() < 6, "{} of {}", distinct.len(), all.len());

    assert_bits_are_even(&all, "keys");
    let steps: Vec<_> = masks.iter().flat_map(|keys| keys.windows(2)).collect();
    let xored: Vec<_> = steps.iter().map(|pair| pair[0] ^ pair[1]).collect();
    assert_bits_are_even(&xored, "consecutive keys");
    let differences: Vec<_> = steps.iter().map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert_bits_are_even(&differences, "differences");
    let distinct: HashSet<_> = differences.iter().collect();
    assert!(differences.len() - distinct.len() < 6, "the keys are not a counter");

    let across: Vec<_> = masks
        .windows(2)
        .flat_map(|pair| pair[0].iter().zip(&pair[1]).map(|(one, other)| one ^ other))
        .collect();
    assert_bits_are_even(&across, "keys at the same position in two connections");
}
