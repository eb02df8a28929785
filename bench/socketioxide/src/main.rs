//! A node of a cluster with socketioxide and its Redis adapter, as in their documentation:
//! `socketioxide ADDR REDIS_URL`. A client is a member of the room that its query names.

use std::error::Error;

use axum::serve::ListenerExt;
use socketioxide::{
    SocketIo, TransportType,
    adapter::Adapter,
    extract::{Data, Extension, SocketRef},
};
use socketioxide_redis::{RedisAdapter, RedisAdapterCtr, drivers::redis::redis_client as redis};
use tokio::{net::TcpListener, runtime};

/// The room of a client.
#[derive(Clone)]
struct Room(String);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, url] = &arguments[..] else { return Err("socketioxide ADDR REDIS_URL".into()) };
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(address, url))
}

async fn serve(address: &str, url: &str) -> Result<(), Box<dyn Error>> {
    let client = redis::Client::open(format!("{url}?protocol=resp3"))?;
    let adapter = RedisAdapterCtr::new_with_redis(&client).await?;
    let (layer, io) = SocketIo::builder()
        .transports([TransportType::Websocket])
        .with_adapter::<RedisAdapter<_>>(adapter)
        .build_layer();
    io.ns("/", on_connect).await?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true); // fails only if the client has gone
    });
    axum::serve(listener, axum::Router::new().layer(layer)).await?;
    Ok(())
}

async fn on_connect<A: Adapter>(socket: SocketRef<A>) {
    let query = socket.req_parts().uri.query().unwrap_or_default();
    let room = query.split('&').find_map(|pair| pair.strip_prefix("room=")).unwrap_or_default();
    let room = Room(room.to_owned());
    socket.join(room.0.clone());
    socket.extensions.insert(room);
    socket.on("message", on_message);
}

async fn on_message<A: Adapter>(
    socket: SocketRef<A>,
    Data(text): Data<String>,
    Extension(Room(room)): Extension<Room>,
) {
    let _ = socket.to(room).emit("message", &text).await; // fails if Redis does
}
