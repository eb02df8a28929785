//! Slow readers: the server has far more to send than they read, waits for them, and loses nothing.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use prism_driver::{Client, OwnedMessage, Runtime, Socket};
use prism_tokio::Tokio;
use socket2::{Domain, Type};

use crate::{clients::ClientTask, endpoint::Endpoint, runtimes, server::options};

/// The pause of a reader after each message.
const PAUSE: Duration = Duration::from_millis(100);

const LEN: usize = 8 << 10;

/// The size of a reader's receive buffer. Linux lets a buffer without a fixed size accept more than
/// it has memory for, and then drops the data. The retransmission can take half a minute.
const RECEIVE_BUFFER: usize = 64 << 10;

/// Returns the message with this number.
pub(crate) fn message(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(LEN / 8)
}

/// Connects, reads slowly and closes, again and again. Runs on tokio, whichever runtime the server
/// uses.
pub(crate) async fn read(mut task: ClientTask) {
    Tokio.sleep(task.starts_at.saturating_duration_since(Instant::now())).await;
    while !task.is_finished() {
        let leave = task.next_end();
        if let Err(what) = read_until(&task, leave).await {
            task.tally.report(task.kind, &what);
        }
        Tokio.sleep(task.pause()).await;
    }
}

async fn read_until(task: &ClientTask, leave: Instant) -> Result<(), String> {
    let mut socket = connect(task.address).await?;
    let _connected = task.tally.connected(task.kind);
    let mut number = 0;
    while Instant::now() < leave {
        let received = Endpoint::recv(&mut socket).await?;
        if received != OwnedMessage::Binary(message(number)) {
            let bytes = received.as_message().as_bytes();
            let actual = bytes.first_chunk().map(|it| u64::from_be_bytes(*it));
            return Err(format!("expected message {number}, but {actual:?}"));
        }
        number += 1;
        task.tally.read.fetch_add(1, Relaxed);
        Tokio.sleep(PAUSE).await;
    }
    Endpoint::close(socket).await
}

async fn connect(address: SocketAddr) -> Result<Socket, String> {
    let connect = || {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.connect(&address.into())?;
        Ok(socket.into())
    };
    let stream: TcpStream = connect().map_err(|error: io::Error| error.to_string())?;
    let url = format!("ws://{address}/firehose/slow");
    let client = Client::new_on(Tokio, &url).expect("a good address").options(options());
    let stream = runtimes::tokio::adopt(stream);
    client.connect_stream(stream).await.map_err(|error| error.to_string())
}
