// Shared by the scripts that test the pages of the examples: what a page does when the server closes its connection. The codes are those of
// prism-driver/docs/close-codes.md, "When to reconnect".

import { once } from 'node:events';
import { WebSocketServer } from 'ws';
import { assert } from './checks.mjs';
import { fits } from './layout.mjs';

const REFUSALS = [
  [1000, 'see you', 'The server has closed the connection: see you'],
  [1002, '', 'This page and the server do not understand each other'],
  [1003, '', 'The server does not accept messages of this kind'],
  [1007, '', 'The server could not read the last message'],
  [1008, '', 'The server has refused this connection'],
  [1008, 'too many messages', 'The server has refused this connection: too many messages'],
  [1009, 'message of more than 16384 bytes', 'The last message was too long for the server'],
  [1010, '', 'The server lacks an extension that this page needs'],
  [4003, 'banned', 'The server has closed the connection: banned'],
];

const LOST = 1006; // no close frame
const FAILURES = [1001, LOST, 1011, 1012, 1013];

/** Starts a server that closes each connection at once, with the code and the reason in its path. Directs the page to it during `run`. */
async function withClosingServer(page, run) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  server.on('connection', (socket, { url }) => {
    const [, code, reason] = url.split('/');
    if (Number(code) === LOST) socket.terminate(); else socket.close(Number(code), decodeURIComponent(reason));
  });
  await page.evaluate(port => {
    const Original = WebSocket;
    made = 0; // connections
    last = undefined; // of them
    WebSocket = class extends Original { constructor() { super(`ws://127.0.0.1:${port}/${ending}`); made++; last = this; } };
    closeWith = path => {
      globalThis.client?.close();
      ending = path;
      made = connection.tries = 0;
      if (globalThis.client) return client.open();
      clearInterval(ticking);
      socket.onopen = socket.onclose = null;
      socket.close();
      connection.isOpen = false;
      openedAt = 0;
      connect();
    };
    restore = () => { WebSocket = Original; };
  }, server.address().port);
  await run();
  await page.evaluate('restore()');
  await page.getByRole('button', { name: /Connect again|Try now/ }).click();
  await page.getByRole('status').getByText('Connected', { exact: true }).waitFor();
  await page.evaluate('connection.tries = 0');
  server.close();
}

const closeWith = (page, code, reason = '') => page.evaluate(path => closeWith(path), `${code}/${encodeURIComponent(reason)}`);

/** Asserts that a person's page says why the server has refused it, and connects again only if it is told to. The person leaves. */
export async function staysClosed({ page, context }) {
  await page.clock.install();
  const again = page.getByRole('button', { name: 'Connect again' });
  await withClosingServer(page, async () => {
    for (const [code, reason, text] of REFUSALS) {
      await closeWith(page, code, reason);
      await page.locator('#offline').getByText(text, { exact: true }).waitFor();
      await page.getByRole('status').getByText(text, { exact: true }).waitFor(); // for screen readers
      await page.clock.runFor(60_000);
      const made = await page.evaluate('made');
      assert(made === 1, `after ${code}, the page has connected ${made} times`);
    }
    await closeWith(page, 4003, 'W'.repeat(120));
    await fits(page, 'refused');
    await again.click();
    await page.waitForFunction('made === 2 && last.readyState === WebSocket.CLOSED');
  });
  await again.waitFor({ state: 'hidden' });
  await context.close();
}

/** Asserts that a page without prism.js tries again after failures that may pass, and waits longer each time. */
export async function triesAgain(page) {
  await withClosingServer(page, async () => {
    for (const code of FAILURES) {
      await closeWith(page, code);
      await page.waitForFunction('made > 1');
      const waits = await page.evaluate(async code => {
        closeWith(`${code}/`);
        const waits = [];
        while (waits.length < 7) {
          await new Promise(resolve => socket.addEventListener('close', resolve));
          waits.push(connection.nextTry - Date.now());
          if (waits.length < 7) tryNow();
        }
        return waits;
      }, code);
      const isRight = (wait, at) => { const most = Math.min(15_000, 500 * 2 ** at); return wait <= most && wait > most / 2 - 100; };
      assert(waits.every(isRight), `after ${code}, the page waits ${waits.map(Math.round)} ms`);
    }
    await page.getByText(/^Offline, next try in \d+ s$/).waitFor();
  });
}

/** Asserts that the page says why this server has closed a connection that has sent a message of the given length. */
export async function sentTooMuch(page, room, length) {
  await page.evaluate(line => (globalThis.client?._socket ?? socket).send(line), room + 'x'.repeat(length));
  await page.locator('#offline').getByText('The last message was too long for the server', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Connect again' }).click();
  await page.getByRole('status').getByText('Connected', { exact: true }).waitFor();
}
