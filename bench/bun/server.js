// A server with Bun: bun server.js ADDRESS:PORT [--broadcast].

const ROOM = "room";
const [address = "127.0.0.1:0", mode] = Bun.argv.slice(2);
const colon = address.lastIndexOf(":");

const echo = {
  message(socket, message) {
    socket.send(message);
  },
};

const broadcast = {
  publishToSelf: true,
  open(socket) {
    socket.subscribe(ROOM);
  },
  message(socket, message) {
    socket.publish(ROOM, message);
  },
};

const server = Bun.serve({
  hostname: address.slice(0, colon),
  port: Number(address.slice(colon + 1)),
  fetch(request, server) {
    if (!server.upgrade(request)) return new Response("WebSocket only", { status: 400 });
  },
  websocket: {
    maxPayloadLength: 64 << 20,
    idleTimeout: 0,
    perMessageDeflate: false,
    ...(mode === "--broadcast" ? broadcast : echo),
  },
});

console.log(`listening on ${server.hostname}:${server.port}`);
