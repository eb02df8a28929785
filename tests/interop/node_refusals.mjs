// Runs Node servers that refuse, or accept unusually, in ways that users encounter. The caller checks how Prism's client reacts.
//
// node node_refusals.mjs      prints a URL for each, in the order of `answers`, then "listening", and serves until SIGTERM

import http from 'node:http';
import { WebSocketServer } from 'ws';

const accepting = new WebSocketServer({ noServer: true });
accepting.on('headers', headers => headers.push('Sec-WebSocket-Protocol: '));
accepting.on('connection', ws => ws.on('error', () => {})); // the client reports the outcome
const refusing = new WebSocketServer({ noServer: true, verifyClient: (_, decide) => decide(false, 401, 'who are you?') });

/** Each function gets the response, its socket, and the request. */
const answers = {
  'a 401 whose body never ends': response => {
    response.writeHead(401, { 'WWW-Authenticate': 'Basic' });
    response.write('who are');
  },
  'a 502 that stalls within a chunk': (response, socket) => {
    response.writeHead(502);
    response.write('bad', () => socket.write('9\r\n gate'));
  },
  'a 401, and a reset': (response, socket) => {
    response.writeHead(401, { 'Content-Length': 100 });
    response.write('who are', () => socket.resetAndDestroy());
  },
  'a 503 in HTTP/1.0': (_, socket) => {
    socket.write('HTTP/1.0 503 Service Unavailable\r\nRetry-After: 9\r\n\r\nlater'); // like old proxies and some health checks
  },
  'a 101 with an empty subprotocol': (_, socket, request) => {
    accepting.handleUpgrade(request, socket, Buffer.of(), ws => accepting.emit('connection', ws, request));
  },
  'a 401 by ws': (_, socket, request) => {
    refusing.handleUpgrade(request, socket, Buffer.of(), () => {});
  },
};

const server = http.createServer();
server.on('upgrade', (request, socket) => {
  socket.on('error', () => {}); // the client may disconnect early
  const answer = Object.values(answers)[request.url.slice(1)];
  const response = new http.ServerResponse(request);
  if (!answer) return socket.destroy();
  response.assignSocket(socket);
  answer(response, socket, request);
});
server.listen(0, '127.0.0.1', () => {
  Object.keys(answers).forEach((_, n) => console.log(`ws://127.0.0.1:${server.address().port}/${n}`));
  console.log('listening');
});
process.once('SIGTERM', () => process.exit(0));
