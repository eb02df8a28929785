// A node of a cluster with Socket.IO, as in its documentation: node server.mjs ADDRESS:PORT REDIS_URL pub-sub|streams.
// A client is a member of the room that its query names.

import { createServer } from "node:http";
import { createAdapter as createPubSubAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const [address, url, kind] = process.argv.slice(2);

async function createAdapter() {
  const client = createClient({ url });
  if (kind === "streams") {
    await client.connect();
    return createStreamsAdapter(client);
  }
  const subscriber = client.duplicate();
  await Promise.all([client.connect(), subscriber.connect()]);
  return createPubSubAdapter(client, subscriber);
}

const server = createServer();
const io = new Server(server, {
  adapter: await createAdapter(),
  perMessageDeflate: false,
  serveClient: false,
  transports: ["websocket"],
});

io.on("connection", (socket) => {
  const { room } = socket.handshake.query;
  socket.join(room);
  socket.on("message", (text) => {
    socket.to(room).emit("message", text);
  });
});

const colon = address.lastIndexOf(":");
server.listen(Number(address.slice(colon + 1)), address.slice(0, colon), () => {
  const { address, port } = server.address();
  console.log(`listening on ${address}:${port}`);
});
