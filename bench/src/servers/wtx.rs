//! wtx, with its default buffers.

use std::io;

use tokio::net::TcpStream;
use wtx::{
    collection::Vector,
    web_socket::{OpCode, WebSocketAcceptor, WebSocketPayloadOrigin},
};

use super::on_tokio;

pub(super) fn echo(address: &str, threads: usize) -> io::Result<()> {
    on_tokio::serve(address, threads, |stream| async { drop(session(stream).await) })
}

async fn session(stream: TcpStream) -> wtx::Result<()> {
    let mut socket = WebSocketAcceptor::default().no_masking(false).accept(stream).await?;
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
