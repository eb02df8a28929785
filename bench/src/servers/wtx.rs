//! wtx, with its default buffers.

use std::io;

use tokio::net::TcpStream;
use wtx::{
    collection::Vector,
    web_socket::{
        OpCode, WebSocketAcceptor, WebSocketPayloadOrigin,
        compression::{Compression, Flate2, NegotiatedCompression},
    },
};

use super::on_tokio;

pub(super) fn echo(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve(address, threads, |stream| async { drop(session(stream, ()).await) })
}

/// Compresses with its default settings. It always refuses context takeover.
pub(super) fn deflate(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve(address, threads, |stream| async {
        drop(session(stream, Flate2::default()).await)
    })
}

async fn session<C>(stream: TcpStream, compression: C) -> wtx::Result<()>
where
    C: Compression<false, NegotiatedCompression: NegotiatedCompression>,
{
    let acceptor = WebSocketAcceptor::default().no_masking(false).compression(compression);
    let mut socket = acceptor.accept(stream).await?;
    let (mut common, mut reader, mut writer) = socket.split_mut();
    let mut buffer = Vector::new();
    loop {
        let origin = WebSocketPayloadOrigin::Adaptive;
        let mut frame = reader.read_frame(&mut buffer, &mut common, origin).await?;
        match frame.op_code() {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => writer.write_frame(&mut common, &mut frame).await?,
            _ => {}
        }
        buffer.clear();
    }
}
