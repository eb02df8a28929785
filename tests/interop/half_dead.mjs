// Says a hundred messages and a close through Node's `ws`, and goes before it can have been answered. Whoever hears it has to hear all.
//
// node half_dead.mjs client ws://HOST:PORT   as a client
// node half_dead.mjs server PORT             as a server of one connection

import { once } from 'node:events';
import WebSocket, { WebSocketServer } from 'ws';

const [, , role, where] = process.argv;

/** All in one piece, and then the socket is closed, whatever the other end still says. */
async function sayAndGo(ws) {
  ws.on('error', () => {}); // the other end finds nobody
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
  await sayAndGo(ws);
} else {
  const server = new WebSocketServer({ host: '127.0.0.1', port: Number(where) });
  await once(server, 'listening');
  console.log(`listening on ws://127.0.0.1:${where}`);
  const [ws] = await once(server, 'connection');
  await sayAndGo(ws);
}
process.exit(0);
