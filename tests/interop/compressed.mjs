// Exchanges compressed messages with Prism through Node's `ws`, once for each way to negotiate that it has, and through `undici`,
// which has one and is a client only.
//
// node compressed.mjs ws|undici client ws://HOST:PORT   as a client of an echo server
// node compressed.mjs ws server PORT                    as a server for a client that speaks Autobahn's protocol, as in node_peers.mjs
//
// Prism has to compress every message.

import { createServer } from 'node:http';
import { on, once } from 'node:events';
import { WebSocket as Undici } from 'undici';
import WebSocket, { WebSocketServer } from 'ws';
import { assert, check, fail, finish, within } from './checks.mjs';

const [, , peer, role, where] = process.argv;

// ---- the conversation -----------------------------------------------------------------------------------------------

/** Messages of all sizes. Many are similar to earlier ones, which takeover makes use of, some with more than a window between. */
function messages() {
  let state = 7692;
  const random = below => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return Math.floor(state / 2 ** 32 * below); };
  const words = Array.from({ length: 300 }, () => random(2 ** 32).toString(36));
  const texts = [1, 10, 40, 100, 1000, 5000].map(count => Array.from({ length: count }, () => words[random(300)]).join(' '));
  const records = Array.from({ length: 30 }, (_, n) => JSON.stringify({ id: n, type: 'position', x: n * n % 997, y: n * 31 % 101, alive: true }));
  const noise = [1, 16, 300, 5000, 40_000].map(size => Buffer.from(Array.from({ length: size }, () => random(256))));
  return ['', Buffer.of(), 'Hello', 'Hello', ...records, ...texts, ...noise, ...texts, Buffer.alloc(300_000), ...noise.slice(0, 3), ...records.slice(0, 5)];
}

/**
 * Sends each message, and expects it back before the next. Then sends all of them without waiting, and closes. Must be called in the
 * turn of the event loop in which `ws` opened: messages that arrive earlier are lost. `read` returns the message of an event.
 */
async function talk(ws, read) {
  const received = on(ws, 'message', { close: ['close'] });
  const expect = async message => {
    const { value } = await received.next();
    assert(value, `closed instead of answering ${short(message)}`);
    const got = read(value);
    const same = typeof got === typeof message && Buffer.from(got).equals(Buffer.from(message));
    assert(same, `wanted ${short(message)}, got ${short(got)}`);
  };
  assert(ws.extensions.includes('permessage-deflate'), 'no compression was agreed');
  for (const message of messages()) {
    ws.send(message);
    await expect(message);
  }
  for (const message of messages()) ws.send(message);
  for (const message of messages()) await expect(message);
  const closed = once(ws, 'close');
  ws.close(1000);
  await closed;
}

const short = message => `${typeof message === 'string' ? 'text' : 'binary'} of ${message.length ?? message.byteLength}`;

// ---- ws -------------------------------------------------------------------------------------------------------------

/** Each combination of the parameters, by name. */
function grid(pairs) {
  const cases = {};
  for (const serverNoContextTakeover of [false, true]) {
    for (const clientNoContextTakeover of [false, true]) {
      for (const [serverMaxWindowBits, clientMaxWindowBits] of pairs) {
        const settings = { serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits };
        // As an option, `false` means that a peer must not demand it.
        const given = Object.entries(settings).filter(([, value]) => value);
        cases[given.map(([name, value]) => `${name}=${value}`).join(' ') || 'no parameters'] = Object.fromEntries(given);
      }
    }
  }
  return cases;
}

const all = [8, 9, 10, 11, 12, 13, 14, 15];
const offers = grid([[], ...all.map(bits => [bits, bits])]);
// `ws` refuses a client whose own limit is smaller than that of its server, and with takeover Prism's is 12.
const answers = grid([[], ...all.map(bits => [bits, Math.min(bits, 12)])]);

const options = settings => ({ perMessageDeflate: { ...settings, threshold: 0 }, handshakeTimeout: 10_000 });

const talkOverWs = ws => talk(ws, ([data, binary]) => (binary ? data : data.toString()));

async function wsAsClient(url) {
  for (const [name, settings] of Object.entries(offers)) {
    await check(name, async () => {
      const ws = new WebSocket(url, options(settings));
      try {
        await once(ws, 'open');
        await talkOverWs(ws);
      } finally {
        ws.terminate();
      }
    });
  }
}

function wsAsServer(port) {
  const names = Object.keys(answers);
  const http = createServer();
  http.listen(port, '127.0.0.1', () => console.log(`listening on ws://127.0.0.1:${port}`));
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    http.on('upgrade', (request, socket, head) => {
      const { pathname, searchParams } = new URL(request.url, 'ws://prism');
      const name = names[searchParams.get('case') - 1];
      const server = new WebSocketServer({ noServer: true, ...options(answers[name]) });
      server.handleUpgrade(request, socket, head, async ws => {
        ws.on('error', () => {}); // reported by the pending wait for a message or the close
        if (pathname === '/runCase') {
          await check(name, () => talkOverWs(ws));
          ws.terminate();
          return;
        }
        if (pathname === '/getCaseCount') ws.send(String(names.length));
        if (pathname === '/updateReports') ws.once('close', resolve);
        ws.close(1000);
      });
    });
  });
}

// ---- undici ---------------------------------------------------------------------------------------------------------

async function undiciAsClient(url) {
  await check('undici', async () => {
    const ws = new Undici(url);
    ws.binaryType = 'arraybuffer';
    await once(ws, 'open');
    await talk(ws, ([event]) => event.data);
  });
}

// ---- the run --------------------------------------------------------------------------------------------------------

const runs = {
  'ws client': [wsAsClient, Object.keys(offers)],
  'ws server': [wsAsServer, Object.keys(answers)],
  'undici client': [undiciAsClient, ['undici']],
};
const [run, expected] = runs[`${peer} ${role}`] ?? [];
if (!run || !where) {
  console.error('usage: node compressed.mjs ws|undici client URL | ws server PORT');
  process.exit(2);
}
try {
  await within(140, run(where));
} catch (error) {
  fail('the run as a whole', error);
}
finish(expected);
