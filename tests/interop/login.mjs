// Tests the page of the example `login` in a real browser: logging in, who is who, and the end of a session.
//
// node login.mjs http://LOGIN

import { assert, check, fail, finish, within } from './checks.mjs';
import { launch } from './chromium.mjs';
import { LONG_NAME, LONG_WORD, fits, offline, tabsThrough } from './layout.mjs';
import { connected, inAccentColor, isShown, log, says, sees } from './page.mjs';

const [, , login] = process.argv;
if (!login) {
  console.error('usage: node login.mjs http://LOGIN');
  process.exit(2);
}

const REFUSAL = 'The server has closed the connection: log in first';

/** Opens the page in a window of a browser context. */
async function open(context) {
  const page = await context.newPage();
  page.on('pageerror', error => fail('no error in the page', error));
  page.on('request', request => { if (!request.url().startsWith(login)) fail('the page needs nothing from elsewhere', request.url()); });
  await page.goto(login);
  return page;
}

/** Opens the page in a browser context of its own, without a session. */
async function anonymous(browser) {
  const context = await browser.newContext();
  context.setDefaultTimeout(20_000);
  return { context, page: await open(context) };
}

async function logsIn(page, name) {
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText(`You are ${name}`, { exact: true }).waitFor();
  await connected(page);
}

async function person(browser, name) {
  const one = await anonymous(browser);
  await logsIn(one.page, name);
  return one;
}

/** Waits for a message, asserts its displayed author (without one, that it is our own), and returns its line. */
async function hears(page, text, by = 'You') {
  const item = log(page).locator('li.said', { has: page.getByText(text, { exact: true }) }).last();
  await item.waitFor();
  const author = await item.locator('b').textContent();
  assert(author === by, `“${text}” is shown as said by ${author}`);
  if (by === 'You') await inAccentColor(item);
  return item;
}

/** Asserts that the page shows how to log in, and nothing of the chat. */
async function asksToLogIn(page) {
  await page.getByRole('heading', { name: 'Log in to chat' }).waitFor();
  await page.getByRole('status').getByText(REFUSAL, { exact: true }).waitFor(); // for screen readers
  for (const part of ['#say', '#offline', '#user', '.said', '.note', 'h2:text("No messages yet")']) {
    assert(!await isShown(page.locator(part)), `the page also shows ${part}`);
  }
}

async function twoPeople(browser) {
  let ann, ben;
  await check('without a session, the page says so, shows how to log in, and does not try again', async () => {
    ann = await anonymous(browser);
    await asksToLogIn(ann.page);
    await fits(ann.page, 'no session');
    await ann.page.clock.install();
    await ann.page.evaluate('made = 0; { const Original = WebSocket; WebSocket = class extends Original { constructor(url) { super(url); made++; } }; }');
    await ann.page.clock.runFor(60_000);
    assert(await ann.page.evaluate('made') === 0, 'it has tried again');
    await ann.context.close();
    ann = await anonymous(browser);
    await asksToLogIn(ann.page);
  });
  await check('the field for the name says what it expects, and the keyboard reaches everything', async () => {
    const field = ann.page.getByLabel('Your name');
    await tabsThrough(ann.page, ['Messages', 'Your name', 'Log in']);
    for (const [name, isValid] of [['', false], ['  ', false], ['a:b', false], ['Ann', true]]) {
      await field.fill(name);
      assert(await field.evaluate(e => e.validity.valid) === isValid, `“${name}” is ${isValid ? 'refused' : 'accepted'}`);
    }
    assert((await field.getAttribute('title')).includes('without a colon'), 'there is no title');
  });
  await check('who logs in is in the chat, under the name of the session, which the page does not let them change', async () => {
    await logsIn(ann.page, 'Ann');
    await sees(ann.page, 'You joined');
    assert(!await isShown(ann.page.getByLabel('Your name')), 'there is a field for the name');
    await log(ann.page).getByText('No messages yet').waitFor();
    await fits(ann.page, 'no messages');
    await tabsThrough(ann.page, ['Messages', 'Message', 'Send']);
  });
  await check('each sees the other join, the messages of the other, and their own in the accent color', async () => {
    ben = await person(browser, 'Ben');
    await sees(ann.page, 'Ben joined');
    for (const [one, other, by, text] of [[ann, ben, 'Ann', 'Is anyone here?'], [ben, ann, 'Ben', 'note: buy milk 👋🏽']]) {
      await says(one.page, text);
      await hears(other.page, text, by);
      await hears(one.page, text);
    }
    assert(!await isShown(log(ann.page).getByText('No messages yet')), 'the page says that there are no messages');
  });
  await check('HTML is shown as it was typed', async () => {
    const html = '<img src="x" onerror="document.title = `pwned`"> & <b>bold</b>';
    await says(ann.page, html);
    await hears(ben.page, html, 'Ann');
    assert(await log(ben.page).locator('ol img, b b').count() === 0, 'it became elements');
  });
  await check('a user is the same person in two windows', async () => {
    const second = await open(ann.context);
    await sees(second, 'You joined');
    await sees(ann.page, 'You joined in another window');
    for (const [page, count] of [[second, 0], [ann.page, 1], [ben.page, 0]]) {
      assert(await page.getByText('in another window').count() === count, 'a window takes itself for another');
    }
    await says(second, 'from the second window');
    await hears(second, 'from the second window');
    await hears(ann.page, 'from the second window');
    await hears(ben.page, 'from the second window', 'Ann');
    await second.close();
    await sees(ann.page, 'You left in another window');
  });
  await check('long names and long words fit, at each width, in light and in dark', async () => {
    const eve = await person(browser, LONG_NAME);
    await says(eve.page, LONG_WORD);
    for (const { page } of [eve, ann]) {
      await log(page).locator('li', { hasText: LONG_WORD }).waitFor();
      await fits(page, 'long names');
    }
    await eve.context.close();
    await sees(ann.page, `${LONG_NAME} left`);
  });
  await check('a message that was pending when the connection was lost is reported, and the page reconnects', async () => {
    // Sent and closed in one turn of the event loop, so that the server cannot answer.
    await ann.page.evaluate(`message.value = 'one: two'; say.requestSubmit(); connection.tries = 0; socket.close()`);
    await sees(ann.page, 'The connection was lost');
    await sees(ann.page, 'This may not have arrived: one: two');
    await sees(ann.page, 'Connected again');
    await says(ann.page, 'back again');
    await hears(ben.page, 'back again', 'Ann');
    await hears(ann.page, 'back again');
  });
  await check('an offline page counts down to its next try, which a button brings forward', () => offline(ann.page));
  await check('when the session has ended, the page asks to log in again, and hides the chat', async () => {
    await ben.context.clearCookies();
    await ben.page.evaluate('connection.tries = 0; socket.close()');
    await asksToLogIn(ben.page);
    assert(await ben.page.getByLabel('Your name').inputValue() === 'Ben', 'the name is not remembered');
    await ben.page.getByRole('button', { name: 'Log in' }).click();
    await sees(ben.page, 'You joined'); // the page was loaded again
    await says(ben.page, 'I am back');
    await hears(ann.page, 'I am back', 'Ben');
  });
  for (const one of [ann, ben]) await one.context.close();
}

const browser = await launch();
try {
  await within(120, twoPeople(browser));
} catch (error) {
  fail('the run as a whole', error);
} finally {
  await browser.close();
}
finish();
