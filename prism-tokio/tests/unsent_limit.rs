//! How much the kernel accepts for a peer, on a socket of tokio.

#![cfg(any(target_os = "android", target_os = "linux"))]

use std::{io, net, thread};

use futures_lite::AsyncWriteExt;
use prism_tokio::Tcp;
use socket2::SockRef;
use tokio::net::TcpStream;

/// The limit that a server's connections have at first.
const LOWEST: u32 = 128 << 10;

#[tokio::test]
async fn a_peer_that_takes_at_once_what_it_is_sent_raises_the_limit_of_the_socket() -> io::Result<()>
{
    let listener = net::TcpListener::bind("127.0.0.1:0")?;
    SockRef::from(&listener).set_tcp_notsent_lowat(LOWEST)?;
    let mut peer = net::TcpStream::connect(listener.local_addr()?)?;
    let (socket, _) = listener.accept()?;
    socket.set_nonblocking(true)?;
    let mut socket = Tcp::from(TcpStream::from_std(socket)?);
    let reader = thread::spawn(move || io::copy(&mut peer, &mut io::sink()));
    let message = vec![0; 8 << 20];
    // Usually the first message suffices, but on a busy machine the peer may seem to be slow.
    let mut rounds = 0..100;
    while SockRef::from(socket.get_ref()).tcp_notsent_lowat()? <= LOWEST {
        assert!(rounds.next().is_some(), "the limit is not raised");
        socket.write_all(&message).await?;
    }
    drop(socket);
    reader.join().expect("it does not panic")?;
    Ok(())
}
