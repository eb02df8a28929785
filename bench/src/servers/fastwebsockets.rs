//! fastwebsockets, as in its echo example.

use std::io;

use fastwebsockets::{
    FragmentCollector, OpCode, WebSocketError,
    upgrade::{UpgradeFut, upgrade},
};

use super::{
    MAX_MESSAGE,
    hyper_upgrade::{self, Transport},
};

pub(super) fn echo(address: &str, threads: usize) -> io::Result<()> {
    hyper_upgrade::serve(address, threads, Transport::Tcp, |request| {
        let (response, upgrade) = upgrade(request)?;
        Ok::<_, WebSocketError>((response, async { drop(session(upgrade).await) }))
    })
}

async fn session(upgrade: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = upgrade.await?;
    socket.set_max_message_size(MAX_MESSAGE);
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}
