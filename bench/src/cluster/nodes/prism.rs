//! A node with Prism: rooms of a cluster over Redis, as its documentation shows them.

use std::io;

use prism_driver::{Connection, Handler, Message};
use prism_rooms::{Cluster, Rooms};
use prism_rooms_redis::Redis;
use prism_tokio::{Server, Tokio};

use crate::servers::announce;

struct Chat(Rooms);

impl Handler for Chat {
    async fn on_connect(&self, connection: &Connection) {
        let room = connection.param("room").expect("the route has it");
        let _ = self.0.join(connection, room); // fails only if the connection has ended
    }

    async fn on_message(&self, connection: &Connection, message: Message<'_>) {
        let room = connection.param("room").expect("the route has it");
        self.0.to(room).except(connection.id()).send(message);
    }
}

pub(super) async fn serve(address: &str, redis: &str) -> io::Result<()> {
    let redis = Redis::new(Tokio, redis).map_err(io::Error::other)?;
    let cluster = Cluster::new(Tokio, redis);
    let server = Server::bind(address).await?;
    announce(server.local_addr()?);
    server.websocket("/rooms/{room}", Chat(cluster.rooms())).serve().await;
    Ok(())
}
