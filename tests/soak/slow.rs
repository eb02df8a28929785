//! Readers that could get much more than they read: the server waits for them, and loses nothing.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use prism_driver::{Client, OwnedMessage, Runtime, Socket};
use prism_tokio::{Io, Tokio};
use socket2::{Domain, Type};

use crate::{crowd::Visitor, ends::End, runtimes, server::options};

/// How long a reader takes over a message.
const PAUSE: Duration = Duration::from_millis(100);

const LEN: usize = 8 << 10;

/// The size of a reader's receive buffer. One that Linux lets grow takes more than it has memory for,
/// drops it again, and hears of it only when the server's kernel has had the patience to repeat it: that
/// can be half a minute later.
const RECEIVED: usize = 64 << 10;

/// The message of this number.
pub(crate) fn message(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(LEN / 8)
}

/// Comes, reads slowly and leaves, again and again. On tokio, whatever the server runs on.
pub(crate) async fn read(mut visitor: Visitor) {
    Tokio.sleep(visitor.first.saturating_duration_since(Instant::now())).await;
    while !visitor.is_over() {
        let leave = visitor.leave();
        if let Err(what) = read_until(&visitor, leave).await {
            visitor.tally.complain(visitor.kind, &what);
        }
        Tokio.sleep(visitor.pause()).await;
    }
}

async fn read_until(visitor: &Visitor, leave: Instant) -> Result<(), String> {
    let mut socket = connect(visitor.address).await?;
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
        Tokio.sleep(PAUSE).await;
    }
    End::close(socket).await
}

async fn connect(address: SocketAddr) -> Result<Socket, String> {
    let connect = || {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_recv_buffer_size(RECEIVED)?;
        socket.connect(&address.into())?;
        Ok(socket.into())
    };
    let stream: TcpStream = connect().map_err(|error: io::Error| error.to_string())?;
    let url = format!("ws://{address}/hose/slow");
    let client = Client::new_on(Tokio, &url).expect("a good address").options(options());
    let stream = Io(runtimes::tokio::adopt(stream));
    client.connect_stream(stream).await.map_err(|error| error.to_string())
}
