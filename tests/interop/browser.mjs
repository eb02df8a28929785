// Tests Prism in a real browser: the chat page with two people, and WebSockets opened by a page.
//
// node browser.mjs http://CHAT ws://ECHO ws://PINGING
//
// PINGING is an echo server with `--ping-interval 1 --pong-timeout 1`: it drops clients that do not answer pings within seconds.
// The browser is $CHROMIUM, or Debian's Chromium.

import net from 'node:net';
import { assert, check, fail, finish, within } from './checks.mjs';
import { launch } from './chromium.mjs';

const [, , chat, echo, pinging] = process.argv;
if (!pinging) {
  console.error('usage: node browser.mjs http://CHAT ws://ECHO ws://PINGING');
  process.exit(2);
}

// ---- the chat page ----------------------------------------------------------------------------------------------------

/** Opens the chat page in a browser context of its own, and waits until it is connected. */
async function person(browser) {
  const context = await browser.newContext();
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  page.on('pageerror', error => fail('no error in the page', error));
  await page.goto(chat);
  return { context, page, id: await joined(page) };
}

/** Waits until the page is connected, and reads its id off the page. */
async function joined(page) {
  await page.getByRole('status').getByText('Connected', { exact: true }).waitFor();
  const line = await page.getByText(/^You joined as [0-9a-f]{8}$/).last().textContent();
  return line.slice(-8);
}

const log = page => page.getByRole('log');
const sees = (page, line) => log(page).getByText(line, { exact: true }).waitFor();

async function says(page, text) {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
}

/** Waits for a message, and asserts its displayed author. */
async function hears(page, text, { by, own }) {
  const item = log(page).locator('li.said', { has: page.getByText(text, { exact: true }) });
  await item.waitFor();
  assert((await item.locator('.by').textContent()).includes(by), `“${text}” is not shown as said by ${by}`);
  assert((await item.getAttribute('class')).includes('own') === own, `“${text}” is on the wrong side`);
}

async function twoPeople(browser) {
  let ann, ben;
  await check('a page connects and learns its id', async () => { ann = await person(browser); });
  await check('each sees the other join and leave', async () => {
    ben = await person(browser);
    await sees(ann.page, `${ben.id} joined`);
    await ann.page.goto('about:blank');
    await sees(ben.page, `${ann.id} left`);
    await ann.page.goto(chat);
    ann.id = await joined(ann.page);
    await sees(ben.page, `${ann.id} joined`);
  });
  await check('each sees the messages of the other', async () => {
    await ann.page.getByLabel('Your name').fill('Ann');
    await ben.page.getByLabel('Your name').fill('Ben');
    await says(ann.page, 'Is anyone here?');
    for (const { page } of [ann, ben]) await hears(page, 'Is anyone here?', { by: 'Ann', own: page === ann.page });
    await says(ben.page, 'I am 👋🏽 世界 👩‍👩‍👧');
    for (const { page } of [ann, ben]) await hears(page, 'I am 👋🏽 世界 👩‍👩‍👧', { by: 'Ben', own: page === ben.page });
  });
  await check('HTML is shown as it was typed', async () => {
    const html = '<img src="x" onerror="document.title = `pwned`"> & <b>bold</b>';
    await says(ann.page, html);
    await hears(ben.page, html, { by: 'Ann', own: false });
    assert(await log(ben.page).locator('img, b b').count() === 0, 'it became elements');
  });
  await check('the page reconnects after a lost connection', async () => {
    const before = ann.id;
    await ann.page.evaluate('socket.close()');
    await sees(ben.page, 'Ann left');
    await log(ann.page).getByText('The connection was lost').waitFor();
    await ann.page.getByText(/^You joined as/).nth(1).waitFor();
    ann.id = await joined(ann.page);
    assert(ann.id !== before, 'the same id twice');
    await sees(ben.page, `${ann.id} joined`);
    await says(ann.page, 'back again');
    await hears(ben.page, 'back again', { by: 'Ann', own: false });
  });
  await check('the name is remembered', async () => {
    await ann.page.reload();
    ann.id = await joined(ann.page);
    assert(await ann.page.getByLabel('Your name').inputValue() === 'Ann', 'it was forgotten');
  });
  await check('each sees the other leave', async () => {
    await ben.context.close();
    await sees(ann.page, `${ben.id} left`);
    await ann.context.close();
  });
}

// ---- WebSockets opened by a page --------------------------------------------------------------------------------------

/** Runs in the page: sends a payload, and returns whether it was echoed and how the connection closed. */
async function visit({ url, kind, stay }) {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  const event = name => new Promise((resolve, reject) => {
    socket.addEventListener(name, resolve, { once: true });
    socket.addEventListener('close', e => reject(new Error(`closed with ${e.code} while waiting for ${name}`)), { once: true });
  });
  await event('open');
  await new Promise(resolve => setTimeout(resolve, stay));
  const bytes = Uint8Array.from({ length: 1 << 20 }, (_, n) => n * 7 + (n >> 8));
  const payload = { text: 'abcdéfgh世👋'.repeat(1 << 16), emoji: '👋🏽 👩‍👩‍👧 🏳️‍🌈', binary: bytes }[kind];
  socket.send(payload);
  const { data } = await event('message');
  const same = kind === 'binary'
    ? data instanceof ArrayBuffer && data.byteLength === bytes.length && new Uint8Array(data).every((byte, n) => byte === bytes[n])
    : data === payload;
  const closed = new Promise(resolve => socket.addEventListener('close', resolve, { once: true }));
  socket.close(4001, 'bye');
  const { code, reason, wasClean } = await closed;
  return { same, code, reason, wasClean };
}

async function fromAPage(browser) {
  const page = await (await browser.newContext()).newPage();
  await page.goto(chat);
  const visits = [
    ['1 MiB of text is echoed', echo, 'text', 0],
    ['1 MiB of binary is echoed', echo, 'binary', 0],
    ['emoji are echoed', echo, 'emoji', 0],
    // Long enough for three pings, which the browser has to answer.
    ['the browser answers pings and stays connected', pinging, 'emoji', 3500],
  ];
  for (const [name, url, kind, stay] of visits) {
    await check(name, async () => {
      const { same, code, reason, wasClean } = await page.evaluate(visit, { url, kind, stay });
      assert(same, 'the echo differs');
      assert(code === 4001 && reason === 'bye' && wasClean, `close came back as ${code} “${reason}”, wasClean ${wasClean}`);
    });
  }
  // Without this check, the one above would also pass if the server sent no pings.
  await check('a client that does not answer pings is dropped', () => silence(pinging));
}

/** Opens a WebSocket by hand and never answers. Resolves once the server has sent a ping and then ended the connection. */
function silence(url) {
  const { hostname, port } = new URL(url);
  const socket = net.connect({ host: hostname, port: Number(port) });
  socket.write(`GET / HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
    + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
  let received = Buffer.of();
  socket.on('data', data => { received = Buffer.concat([received, data]); });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('end', () => {
      socket.end();
      const head = received.indexOf('\r\n\r\n') + 4;
      const [first] = received.subarray(head);
      if (head > 4 && first === 0x89) resolve();
      else reject(new Error(`wanted a ping (0x89) first, got ${received.toString('latin1')}`));
    });
  });
}

// ---- the run ------------------------------------------------------------------------------------------------------------

const browser = await launch();
try {
  await within(120, (async () => {
    await twoPeople(browser);
    await fromAPage(browser);
  })());
} catch (error) {
  fail('the run as a whole', error);
} finally {
  await browser.close();
}
finish();
