// Holds conversations with Prism through Node's `ws`.
//
// node node_peers.mjs client ws://HOST:PORT   as a client of an echo server
// node node_peers.mjs server PORT             as a server for a client that speaks Autobahn's protocol: `/getCaseCount`,
//                                             then `/runCase?case=N&agent=A` for each N, then `/updateReports`
// node node_peers.mjs client wss://HOST:PORT VERSION CA.pem         the same two over TLS, in the version 1.2 or 1.3
// node node_peers.mjs server PORT VERSION CERTIFICATES.pem KEY.pem
//
// Prism echoes in both directions, so both use the same conversations.

import { on, once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import WebSocket, { WebSocketServer } from 'ws';
import { assert, check, fail, finish, within } from './checks.mjs';

const MIB = 1 << 20;
const [, , role, where, version, ...files] = process.argv;

// ---- conversations: each ends with a close, [code, reason] ----------------------------------------------------------

const done = [1000, ''];
const conversations = {
  'text': [echoes('hello'), done],
  'text beyond ASCII': [echoes('Grüße, 世界, 👋🏽', '\0', '\u{10ffff}'), done],
  'binary': [echoes(Buffer.of(0, 255), Buffer.from([...Array(256).keys()])), done],
  'empty': [echoes('', Buffer.of(), ''), done],
  'every form of length': [echoes(...[1, 125, 126, 127, 65535, 65536].map(n => Buffer.alloc(n, 'x'))), done],
  '1 MiB of text': [echoes('é'.repeat(MIB / 2)), done],
  '1 MiB of binary': [echoes(Buffer.alloc(MIB, Buffer.from([...Array(256).keys()]))), done],
  'fragmented text': [fragments('one ', '', 'two ', 'zwölf', ''), done],
  'fragmented binary': [fragments(Buffer.alloc(70000), Buffer.of(1), Buffer.alloc(300, 2)), done],
  'ping': [ping, done],
  'ping between fragments': [pingBetweenFragments, done],
  '1,000 messages without waiting': [inOrder, done],
  'close at once': [async () => {}, done],
  'close with a code and a reason': [echoes('so long'), [4001, 'bye']],
  'close with the longest reason': [async () => {}, [3000, 'ö'.repeat(61) + '!']],
};

/** Sends each message, and expects it back before the next. */
function echoes(...messages) {
  return async ({ ws, received }) => {
    for (const message of messages) {
      ws.send(message);
      await expect(received, message);
    }
  };
}

/** Sends one message as several frames, and expects it back whole. */
function fragments(...parts) {
  return async ({ ws, received }) => {
    parts.forEach((part, n) => ws.send(part, { fin: n === parts.length - 1 }));
    await expect(received, typeof parts[0] === 'string' ? parts.join('') : Buffer.concat(parts));
  };
}

async function ping({ ws, received }) {
  for (const payload of [Buffer.of(), Buffer.from('are you there?'), Buffer.from([...Array(125).keys()])]) {
    await pinged(ws, payload);
  }
  await echoes('still here')({ ws, received });
}

async function pingBetweenFragments({ ws, received }) {
  ws.send('half a message, ', { fin: false });
  await pinged(ws, Buffer.from('now?'));
  ws.send('and the other half', { fin: true });
  await expect(received, 'half a message, and the other half');
}

async function pinged(ws, payload) {
  const pong = once(ws, 'pong');
  ws.ping(payload);
  const [answer] = await pong;
  assert(answer.equals(payload), `pinged with ${short(payload)}, answered with ${short(answer)}`);
}

async function inOrder({ ws, received }) {
  const messages = Array.from({ length: 1000 }, (_, n) => (n % 2 ? `message ${n}` : Buffer.alloc(n % 300, n)));
  for (const message of messages) ws.send(message);
  for (const message of messages) await expect(received, message);
}

async function expect(received, message) {
  const { value } = await received.next();
  assert(value, `closed instead of answering ${short(message)}`);
  const [data, binary] = value;
  const wanted = Buffer.from(message);
  const same = binary === (typeof message !== 'string') && data.equals(wanted);
  assert(same, `wanted ${short(message)}, got ${binary ? 'binary' : 'text'} of ${data.length}`);
}

function short(message) {
  return `${typeof message === 'string' ? 'text' : 'binary'} of ${message.length}: ${message.toString('latin1').slice(0, 40)}`;
}

/** Must be called in the same turn of the event loop in which `ws` opened: messages that arrive earlier are lost. */
async function converse(ws, name) {
  const [talk, [code, reason]] = conversations[name];
  // From here on, messages are queued in `received`, and an error of the connection rejects it.
  const received = on(ws, 'message', { close: ['close'] });
  const closed = once(ws, 'close');
  closed.catch(() => {}); // the conversation reports the same error itself
  await talk({ ws, received });
  ws.close(code, reason);
  const [answer, words] = await closed;
  assert(answer === code && words.toString() === reason, `closed with ${code} ${reason}, answered with ${answer} ${words}`);
}

// ---- roles ----------------------------------------------------------------------------------------------------------

/** The options of TLS, in one version. */
function tls() {
  const [first, key] = files.map(file => readFileSync(file));
  return { minVersion: `TLSv${version}`, maxVersion: `TLSv${version}`, ...(role === 'client' ? { ca: first } : { cert: first, key }) };
}

async function asClient(url) {
  for (const name of Object.keys(conversations)) {
    await check(name, async () => {
      const ws = new WebSocket(url, { handshakeTimeout: 10_000, ...(version && tls()) });
      try {
        await once(ws, 'open');
        await converse(ws, name);
      } finally {
        ws.terminate();
      }
    });
  }
}

function asServer(port) {
  const names = Object.keys(conversations);
  const listener = version ? https.createServer(tls()) : http.createServer();
  listener.listen(port, '127.0.0.1', () => console.log(`listening on port ${port}`));
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    new WebSocketServer({ server: listener }).on('connection', async (ws, request) => {
      ws.on('error', () => {}); // reported by the pending wait for a message or the close
      const { pathname, searchParams } = new URL(request.url, 'ws://prism');
      if (pathname === '/getCaseCount') {
        ws.send(String(names.length));
        ws.close(1000);
      } else if (pathname === '/runCase' && searchParams.get('agent') && names[searchParams.get('case') - 1]) {
        const name = names[searchParams.get('case') - 1];
        await check(name, () => converse(ws, name));
        ws.terminate();
      } else if (pathname === '/updateReports') {
        ws.once('close', resolve);
        ws.close(1000);
      } else {
        reject(new Error(`unknown request ${request.url}`));
      }
    });
  });
}

if (!where || !['client', 'server'].includes(role)) {
  console.error('usage: node node_peers.mjs client URL [VERSION CA.pem] | server PORT [VERSION CERTIFICATES.pem KEY.pem]');
  process.exit(2);
}
try {
  await within(120, role === 'client' ? asClient(where) : asServer(Number(where)));
} catch (error) {
  fail('the run as a whole', error);
}
finish(Object.keys(conversations));
