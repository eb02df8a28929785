// Tests Prism in a real browser: the chat page with two people, and WebSockets opened by a page.
//
// node browser.mjs http://CHAT ws://ECHO ws://PINGING ws://COMPRESSING...
//
// PINGING is an echo server with `--ping-interval 1 --pong-timeout 1`: it drops clients that do not answer pings within seconds.
// COMPRESSING are echo servers that compress every message.
// The browser is $CHROMIUM, or Debian's Chromium.

import net from 'node:net';
import { assert, check, fail, finish, within } from './checks.mjs';
import { launch } from './chromium.mjs';
import { sentTooMuch, staysClosed, triesAgain } from './closing.mjs';
import { LONG_NAME, LONG_WORD, fits, offline, tabsThrough } from './layout.mjs';
import { connected, inAccentColor, isShown, log, says, sees } from './page.mjs';
import { sendRecords, visit } from './visits.mjs';

const [, , chat, echo, pinging, ...compressing] = process.argv;
if (!compressing.length) {
  console.error('usage: node browser.mjs http://CHAT ws://ECHO ws://PINGING ws://COMPRESSING...');
  process.exit(2);
}

// ---- the chat page ----------------------------------------------------------------------------------------------------

/** Opens the chat page in a browser context of its own, and waits until it is connected. */
async function person(browser, name = '') {
  const context = await browser.newContext();
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  page.on('pageerror', error => fail('no error in the page', error));
  page.on('request', request => { if (!request.url().startsWith(chat)) fail('the page needs nothing from elsewhere', request.url()); });
  await page.goto(chat);
  await connected(page);
  await page.getByLabel('Your name').fill(name);
  return { context, page };
}

/** Waits for a message, asserts its displayed author (without one, that it is our own), and returns its line. */
async function hears(page, text, by) {
  const item = log(page).locator('li.said', { has: page.getByText(text, { exact: true }) }).last();
  await item.waitFor();
  const author = await item.locator('b bdi').allTextContents();
  assert(author.join() === (by ?? ''), `“${text}” is shown as said by ${author}`);
  assert((await item.getAttribute('class')).includes('own') === !by, `“${text}” is on the wrong side`);
  return item;
}

async function twoPeople(browser) {
  let ann, ben;
  await check('without messages, the page says how to try it', async () => {
    ann = await person(browser, 'Ann');
    await sees(ann.page, 'You joined');
    await fits(ann.page, 'no messages');
    const [second] = await Promise.all([ann.context.waitForEvent('page'), log(ann.page).getByText('open a second window').click()]);
    await connected(second);
    await second.close();
    await sees(ann.page, 'Guest left');
  });
  await check('each sees the other join and leave, by name once it is known', async () => {
    ben = await person(browser, 'Ben');
    await sees(ann.page, 'Guest joined');
    await says(ben.page, 'Hello');
    await hears(ann.page, 'Hello', 'Ben');
    await log(ann.page).getByText('Ben joined').waitFor();
    assert(!await isShown(log(ann.page).getByText('No messages yet')), 'the page says that there are no messages');
    await ben.page.goto('about:blank').catch(() => {});
    await sees(ann.page, 'Ben left');
    await ben.page.goto(chat);
    await connected(ben.page);
  });
  await check('each sees the messages of the other, and their own in the accent color', async () => {
    for (const [one, other, by, text] of [[ann, ben, 'Ann', 'Is anyone here?'], [ben, ann, 'Ben', 'I am 👋🏽 世界 👩‍👩‍👧']]) {
      await says(one.page, text);
      await hears(other.page, text, by);
      await inAccentColor(await hears(one.page, text));
    }
  });
  await check('HTML is shown as it was typed', async () => {
    const html = '<img src="x" onerror="document.title = `pwned`"> & <b>bold</b>';
    await says(ann.page, html);
    await hears(ben.page, html, 'Ann');
    assert(await log(ben.page).locator('ol img, b b').count() === 0, 'it became elements');
  });
  await check('a text with a colon is whole, with and without a name', async () => {
    for (const name of ['', 'Ann']) {
      await ann.page.getByLabel('Your name').fill(name);
      await says(ann.page, `note${name}: buy milk`);
      await hears(ann.page, `note${name}: buy milk`);
      await hears(ben.page, `note${name}: buy milk`, name || 'Guest');
    }
  });
  await check('ids are shown where people have the same name, and nowhere else', async () => {
    assert(!await isShown(log(ben.page).locator('code')), 'there is an id');
    const other = await person(browser, 'Ann');
    await says(other.page, 'I am Ann as well');
    const item = await hears(ben.page, 'I am Ann as well', 'Ann');
    assert(await isShown(item.locator('code')), 'there is no id');
    assert(await isShown((await hears(ben.page, 'noteAnn: buy milk', 'Ann')).locator('code')), 'the other Ann has no id');
    assert(!await isShown(log(ann.page).locator('li', { hasText: 'Ben' }).locator('code')), 'Ben has an id');
    await other.context.close();
  });
  await check('a new name is shown as one', async () => {
    await ann.page.getByLabel('Your name').fill('Anna');
    await says(ann.page, 'I have a new name');
    await sees(ann.page, 'You are now Anna');
    await log(ben.page).getByText('Ann is now Anna').waitFor();
    await ann.page.getByLabel('Your name').fill('Ann');
    await says(ann.page, 'and the old one');
    await hears(ben.page, 'and the old one', 'Ann');
  });
  await check('the color of a person who has left is free', async () => {
    const colors = () => ann.page.evaluate('hues.size');
    const before = await colors();
    const eve = await person(browser, 'Eve');
    await says(eve.page, 'Only a moment');
    await hears(ann.page, 'Only a moment', 'Eve');
    assert(await colors() === before + 1, 'Eve has no color');
    await eve.context.close();
    await sees(ann.page, 'Eve left');
    assert(await colors() === before, 'Eve still has one');
  });
  await check('a message that is too long is not sent, and stays in the field', async () => {
    const field = ann.page.getByLabel('Message', { exact: true });
    await says(ann.page, 'x'.repeat(4001));
    assert((await field.inputValue()).length === 4001, 'it was sent, or cut');
    assert(await field.evaluate(e => e.validationMessage) === 'A message has at most 4000 characters. This one has 4001.', 'nothing tells why');
    await says(ann.page, 'x'.repeat(4000));
    await hears(ben.page, 'x'.repeat(4000), 'Ann');
  });
  await check('a draft of many lines fits, at each width', async () => {
    await ann.page.getByLabel('Message', { exact: true }).fill(`${LONG_WORD}\nتصميم\n`.repeat(20));
    await fits(ann.page, 'a long draft');
    await ann.page.getByLabel('Message', { exact: true }).fill('');
  });
  await check('a new line moves into place, unless the reader prefers less motion', async () => {
    for (const [reducedMotion, expected] of [['reduce', 0], ['no-preference', 1]]) {
      await ben.page.emulateMedia({ reducedMotion });
      const moving = await ben.page.evaluate(`append(note('moving')); document.getAnimations().length`);
      assert(moving === expected, `${moving} animations with ${reducedMotion}`);
    }
    await ben.page.emulateMedia({ reducedMotion: null });
  });
  await check('a pill tells of new messages while the reader has scrolled up', async () => {
    for (let n = 0; n < 30; n++) await says(ann.page, `line ${n}`);
    await hears(ben.page, 'line 29', 'Ann');
    await log(ben.page).evaluate(e => { e.scrollTop = 0; });
    await ben.page.evaluate(() => new Promise(requestAnimationFrame));
    await says(ann.page, 'news');
    await ben.page.getByRole('button', { name: '1 new message' }).waitFor();
    await says(ann.page, 'more news');
    const pill = ben.page.getByRole('button', { name: '2 new messages' });
    await pill.waitFor();
    assert(await log(ben.page).evaluate(e => e.scrollTop) === 0, 'the page has scrolled');
    await fits(ben.page, 'scrolled up');
    await log(ben.page).evaluate(e => { e.scrollTop = 0; });
    await pill.click();
    await pill.waitFor({ state: 'hidden' });
    await ben.page.waitForFunction('log.scrollHeight - log.scrollTop - log.clientHeight < 2');
  });
  await check('long names and long words fit, at each width, in light and in dark', async () => {
    const eve = await person(browser, LONG_NAME);
    const twin = await person(browser, LONG_NAME);
    for (const { page } of [eve, twin]) {
      await says(page, LONG_WORD);
      await says(page, 'short');
    }
    for (const { page } of [ann, twin]) {
      await log(page).locator('li', { hasText: LONG_WORD }).nth(1).waitFor();
      await fits(page, 'long names');
    }
    for (const { context } of [eve, twin]) await context.close();
  });
  await check('the keyboard reaches everything, and shows where it is', () =>
    tabsThrough(ben.page, ['Your name', 'Messages', 'Message', 'Send']));
  await check('the page reconnects after a lost connection', async () => {
    await ann.page.evaluate('socket.close()');
    await sees(ben.page, 'Ann left');
    await sees(ann.page, 'The connection was lost');
    await sees(ann.page, 'Connected again');
    await connected(ann.page);
    await says(ann.page, 'back again');
    await hears(ben.page, 'back again', 'Ann');
    await hears(ann.page, 'back again');
  });
  await check('an offline page counts down to its next try, which a button brings forward', () => offline(ann.page));
  await check('those who may have left while the page was offline do not count as people of the same name', async () => {
    await says(ann.page, 'remember me');
    await hears(ben.page, 'remember me', 'Ann');
    const ids = await log(ben.page).locator('code').count();
    await ben.page.evaluate(`{ const Original = WebSocket; WebSocket = class { close() {} }; restore = () => { WebSocket = Original; connect(); }; socket.close(); }`);
    await sees(ann.page, 'Ben left');
    const id = await ann.page.evaluate('me');
    await ann.page.evaluate('socket.close()'); // and comes back with another id
    await ann.page.waitForFunction(id => me !== id && connection.isOpen, id);
    await ben.page.evaluate('restore()');
    await connected(ben.page);
    await says(ann.page, 'I am another connection now');
    const item = await hears(ben.page, 'I am another connection now', 'Ann');
    assert(!await isShown(item.locator('code')), 'there is an id');
    assert(await log(ben.page).locator('code').count() === ids, 'earlier lines have more ids');
  });
  await check('a connection that was lost again and again is one line', async () => {
    const lost = log(ann.page).getByText('The connection was lost', { exact: true });
    const before = await lost.count();
    await ann.page.evaluate(`for (let n = 0; n < 3; n++) lost('The connection was lost')`);
    assert(await lost.count() === before + 1, `there are ${await lost.count() - before}`);
  });
  await check('the page says why the server has refused it, and does not try again by itself', async () =>
    staysClosed(await person(browser, 'Eve')));
  await check('the page tries again after a failure that may pass, and waits longer each time', () => triesAgain(ann.page));
  await check('the page says that a message was too long for the server', () => sentTooMuch(ann.page, '', (1 << 20) + 1));
  await check('a message that was pending when the connection was lost is reported', async () => {
    // Sent and closed in one turn of the event loop, so that the server cannot answer.
    await ann.page.evaluate(`message.value = 'one: two'; say.requestSubmit(); connection.tries = 0; socket.close()`);
    await sees(ann.page, 'This may not have arrived: one: two');
    await connected(ann.page);
  });
  await check('the name is remembered', async () => {
    await ann.page.reload();
    await connected(ann.page);
    assert(await ann.page.getByLabel('Your name').inputValue() === 'Ann', 'it was forgotten');
    await says(ann.page, 'still Ann');
    await hears(ben.page, 'still Ann', 'Ann');
  });
  await check('each sees the other leave', async () => {
    await ben.context.close();
    await sees(ann.page, 'Guest left'); // Ann's page was loaded after Ben's name was known
    await ann.context.close();
  });
}

// ---- WebSockets opened by a page --------------------------------------------------------------------------------------

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
  for (const [n, url] of compressing.entries()) {
    for (const kind of ['text', 'binary', 'emoji']) {
      await check(`${kind} is echoed, compressed by server ${n + 1}`, async () => {
        const { same, extensions } = await page.evaluate(visit, { url, kind, stay: 0 });
        assert(same, 'the echo differs');
        assert(extensions.startsWith('permessage-deflate'), `the extensions are “${extensions}”`);
      });
    }
    await check(`similar messages are echoed, compressed by server ${n + 1}`, async () => {
      const differing = await page.evaluate(sendRecords, url);
      assert(!differing.length, `the echoes of ${differing} differ`);
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
  await within(180, (async () => {
    await twoPeople(browser);
    await fromAPage(browser);
  })());
} catch (error) {
  fail('the run as a whole', error);
} finally {
  await browser.close();
}
finish();
