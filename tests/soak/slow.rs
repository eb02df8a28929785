//! Readers that could get much more than they read: the server waits for them, and loses nothing.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use prism_driver::{Client, Network, OwnedMessage};

use crate::{crowd::Visitor, ends::End, server::options};

/// How long a reader takes over a message.
const PAUSE: Duration = Duration::from_millis(100);

const LEN: usize = 8 << 10;

/// The message of this number.
pub(crate) fn message(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(LEN / 8)
}

/// Comes, reads slowly and leaves, again and again.
pub(crate) async fn read<N: Network>(network: N, mut visitor: Visitor) {
    network.sleep(visitor.first.saturating_duration_since(Instant::now())).await;
    while !visitor.is_over() {
        let leave = visitor.leave();
        if let Err(what) = read_until(&network, &visitor, leave).await {
            visitor.tally.complain(visitor.kind, &what);
        }
        network.sleep(visitor.pause()).await;
    }
}

async fn read_until<N: Network>(
    network: &N,
    visitor: &Visitor,
    leave: Instant,
) -> Result<(), String> {
    let url = format!("ws://{}/hose/slow", visitor.address);
    let client = Client::new_on(network.clone(), &url).expect("a good address");
    let mut socket =
        client.options(options()).connect().await.map_err(|error| error.to_string())?;
    let _here = visitor.tally.comes(visitor.kind);
    let mut number = 0;
    while Instant::now() < leave {
        let came = End::recv(&mut socket).await?;
        if came != OwnedMessage::Binary(message(number)) {
            let came = came.as_message().as_bytes().first_chunk().map(|it| u64::from_be_bytes(*it));
            return Err(format!("expected message {number}, but {came:?}"));
        }
        number += 1;
        visitor.tally.read.fetch_add(1, Relaxed);
        network.sleep(PAUSE).await;
    }
    End::close(socket).await
}
