// Sends a hundred messages and a close through Node's `ws`, and disconnects before any answer. The other end has to receive everything.
//
// node half_dead.mjs client ws://HOST:PORT   as a client
// node half_dead.mjs server PORT             as a server of one connection

import { once } from 'node:events';
import WebSocket, { WebSocketServer } from 'ws';

const [, , role, where] = process.argv;

/** Sends everything in one write, and closes the socket, even if the other end still sends. */
async function sendAndDisconnect(ws) {
  ws.on('error', () => {}); // the other end may send to the closed socket
  const { _socket: socket } = ws;
  socket.cork();
  for (let n = 0; n < 100; n++) {
    ws.ping();
    ws.send(`message ${n}`);
  }
  ws.close(1000, 'done');
  process.nextTick(() => socket.uncork());
  socket.end(() => socket.destroy());
  await once(socket, 'close');
}

if (role === 'client') {
  const ws = new WebSocket(where);
  await once(ws, 'open');
  await sendAndDisconnect(ws);
} else {
  const server = new WebSocketServer({ host: '127.0.0.1', port: Number(where) });
  await once(server, 'listening');
  console.log(`listening on ws://127.0.0.1:${where}`);
  const [ws] = await once(server, 'connection');
  await sendAndDisconnect(ws);
}
process.exit(0);
