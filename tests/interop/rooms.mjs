// Tests the page of the example `rooms` in a real browser: two people join, talk, see each other join and leave, and survive a restart of the
// server, and the page fits narrow windows.
//
// node rooms.mjs ROOMS 127.0.0.1:PORT
//
// ROOMS is the program of the example, which this script starts and stops.

import { assert, check, fail, finish, within } from './checks.mjs';
import { launch } from './chromium.mjs';
import { sentTooMuch, staysClosed } from './closing.mjs';
import { LONG_NAME, LONG_WORD, fits, offline, tabsThrough } from './layout.mjs';
import { connected, log, says, sees } from './page.mjs';
import { visitor } from './rooms_client.mjs';
import { hasHeard, hears, here, is, keptAway, open, person } from './rooms_page.mjs';
import { RoomsServer } from './rooms_server.mjs';

const [, , program, address] = process.argv;
if (!address) {
  console.error('usage: node rooms.mjs ROOMS 127.0.0.1:PORT');
  process.exit(2);
}

const server = new RoomsServer(program, address);

/** Closes the page's connection, and waits until the page has reconnected. */
async function loses(page) {
  await page.evaluate('client._failures = 0; before = client._socket; before.close()');
  await page.waitForFunction('client._socket !== before && connection.isOpen');
  await sees(page, 'The connection was lost');
  await connected(page);
}

/** Returns the key of the person at this page. */
const key = ({ page }) => page.evaluate('client.person');

const room = (page, name) => page.getByRole('navigation').getByRole('button', { name: new RegExp(`^${name}`) });

async function joins(page, name) {
  await page.getByLabel('Room', { exact: true }).fill(name);
  await page.getByRole('button', { name: 'Join' }).click();
}

/** Leaves all rooms. */
async function leavesAll(page) {
  const leave = page.getByRole('navigation').getByRole('button', { name: /^Leave/ });
  while (await leave.count()) await leave.first().click();
}

async function twoPeople(browser) {
  let ann, ben;
  await check('two people in the lobby see each other', async () => {
    ann = await person(browser, address, 'Ann');
    ben = await person(browser, address, 'Ben');
    await log(ann.page).getByText(/^guest-\w{4} is now Ben$/).waitFor();
    for (const { page } of [ann, ben]) for (const name of ['Ann', 'Ben']) await is(here(page, name), 1);
  });
  await check('each sees the messages of the other, as they were typed', async () => {
    await says(ann.page, 'Is anyone here?');
    await hears(ann.page, 'Is anyone here?', 'You');
    await hears(ben.page, 'Is anyone here?', 'Ann');
    const html = '<img src="x" onerror="document.title = `pwned`"> 👋🏽 世界';
    await says(ben.page, html);
    await hears(ann.page, html, 'Ben');
    assert(await log(ann.page).locator('ol img').count() === 0, 'it became an element');
  });
  await check('each sees when the other starts and stops typing', async () => {
    await ben.page.getByLabel('Message', { exact: true }).fill('w');
    await ann.page.getByText('Ben is typing', { exact: true }).waitFor();
    await is(here(ann.page, 'Ben', 'typing'), 1);
    await ben.page.getByLabel('Message', { exact: true }).fill('');
    await ann.page.getByText('Ben is typing', { exact: true }).waitFor({ state: 'detached' });
  });
  await check('another name is shown as such, and not as a person that leaves', async () => {
    const color = await ben.page.evaluate(key => hues.get(key), await key(ann));
    await ann.page.getByLabel('Your name').fill('Anna');
    await ann.page.getByLabel('Your name').press('Enter');
    await sees(ben.page, 'Ann is now Anna');
    await sees(ann.page, 'You are now Anna');
    await is(here(ben.page, 'Anna'), 1);
    await is(here(ben.page, 'Ann'), 0);
    assert(await ben.page.evaluate(key => hues.get(key), await key(ann)) === color, 'the person has another color');
    const lines = await log(ben.page).textContent();
    assert(!/Ann left|Anna joined/.test(lines), lines);
    await ann.page.getByLabel('Your name').fill('Ann');
    await ann.page.getByLabel('Your name').press('Enter');
    await is(here(ben.page, 'Ann'), 1);
  });
  await check('the colors of people are distinct', async () => {
    const colors = await ben.page.evaluate(() => {
      const known = [...hues];
      hues.clear();
      const colors = Array.from({ length: 12 }, (_, n) => hue(`person ${n}`));
      hues.clear();
      for (const [key, color] of known) hues.set(key, color);
      return colors;
    });
    const apart = (one, other) => Math.min(Math.abs(one - other), 360 - Math.abs(one - other));
    const far = colors.slice(0, 6).every((one, at) => colors.slice(0, at).every(other => apart(one, other) >= 60));
    assert(new Set(colors).size === 12 && far, `the first twelve people have the hues ${colors}`);
    const faces = await ben.page.locator('#people .face').evaluateAll(all => all.map(face => getComputedStyle(face).color));
    assert(new Set(faces).size === 2, faces.join());
  });
  await check('those who leave free their colors', async () => {
    for (let number = 0; number < 14; number++) {
      const guest = visitor(address, `visitor-${number}`);
      await guest.says(await guest.enters('lobby'), `hello from ${number}`);
      await hears(ann.page, `hello from ${number}`, `visitor-${number}`);
      await is(here(ann.page, `visitor-${number}`), 1);
      const [all, distinct] = await ann.page.evaluate('[hues.size, new Set(hues.values()).size]');
      assert(all === 3 && distinct === 3, `with visitor ${number}, ${all} people have ${distinct} colors`);
      guest.leaves();
      await is(here(ann.page, `visitor-${number}`), 0);
    }
    const known = await ann.page.evaluate('[...hues.keys()].sort().join()');
    assert(known === [await key(ann), await key(ben)].sort().join(), 'someone who has left has a color');
  });
  await check('a page that is new to a room shows what was said there last', async () => {
    const cy = await person(browser, address, 'Cy');
    await hears(cy.page, 'hello from 13', 'visitor-13');
    await cy.context.close();
    await is(here(ann.page, 'Cy'), 0);
  });
  await check('another person who takes a name that was ours is announced', async () => {
    const other = visitor(address, 'Anna');
    await other.enters('lobby');
    await sees(ann.page, 'Anna joined');
    await sees(ben.page, 'Anna joined');
    other.leaves();
    await sees(ann.page, 'Anna left');
  });
  await check('a name that the server refuses is explained beside the field, or in the conversation if the drawer is closed', async () => {
    const field = ann.page.getByLabel('Your name');
    const why = 'a name has 1 to 24 characters, no space at either end, and no invisible characters';
    await field.fill('A\u200bnn');
    await field.press('Enter');
    await ann.page.getByRole('alert').getByText(`You cannot be called A\u200bnn: ${why}`, { exact: true }).waitFor();
    assert(await field.inputValue() === 'Ann', `the field has ${await field.inputValue()}`);
    await fits(ann.page, 'a refused name', { widths: [1280, 768, 390, 320], prepare: async width => {
      if (width < 896 && !await ann.page.locator('#people').isVisible()) await ann.page.getByRole('button', { name: 'People' }).click();
      await ann.page.getByRole('alert').filter({ visible: true }).waitFor();
    } });
    await ann.page.setViewportSize({ width: 390, height: 800 });
    await ann.page.keyboard.press('Escape');
    await ann.page.evaluate(() => { name.value = 'B\u200ben'; name.dispatchEvent(new Event('change')); });
    await sees(ann.page, `You cannot be called B\u200ben (${why})`);
    await ann.page.setViewportSize({ width: 1280, height: 720 });
    await field.fill('Ann');
    await ann.page.getByRole('alert').waitFor({ state: 'hidden' });
  });
  await check('a name that is written from right to left stands beside its face', async () => {
    const sara = visitor(address, 'سارا احمدی');
    await sara.enters('lobby');
    await is(here(ann.page, 'سارا احمدی'), 1);
    const gap = await here(ann.page, 'سارا احمدی').evaluate(item => {
      const range = document.createRange();
      range.selectNodeContents(item.querySelector('bdi'));
      return range.getBoundingClientRect().left - item.querySelector('.face').getBoundingClientRect().right;
    });
    assert(gap > 0 && gap < 20, `they are ${gap} px apart`);
    sara.leaves();
    await is(here(ann.page, 'سارا احمدی'), 0);
  });
  await check('a message in another room is counted there, and shown there', async () => {
    await joins(ann.page, 'tea');
    await joins(ben.page, 'tea');
    await sees(ann.page, 'Ben joined');
    await room(ann.page, 'lobby').click();
    await says(ben.page, 'the kettle is on');
    await room(ann.page, 'tea').getByText('1 unread', { exact: true }).waitFor();
    assert(await ann.page.title() === '(1) Prism rooms', await ann.page.title());
    assert(!(await log(ann.page).textContent()).includes('kettle'), 'it is in the wrong room');
    await room(ann.page, 'tea').click();
    await hears(ann.page, 'the kettle is on', 'Ben');
    assert(await ann.page.title() === 'Prism rooms', await ann.page.title());
  });
  await check('the lines of a room that is opened again are not read out, and do not move', async () => {
    await ann.page.evaluate(() => { live = []; new MutationObserver(() => live.push(log.ariaLive)).observe(list, { childList: true }); });
    await room(ann.page, 'lobby').click();
    assert(await ann.page.evaluate('document.getAnimations().length') === 0, 'they move');
    await ann.page.waitForFunction(`log.ariaLive === 'polite'`);
    await room(ann.page, 'tea').click();
    await ann.page.waitForFunction(`log.ariaLive === 'polite'`);
    await says(ben.page, 'milk?');
    await hears(ann.page, 'milk?', 'Ben');
    assert(await ann.page.evaluate('live.join()') === 'off,off,polite', `the log was ${await ann.page.evaluate('live.join()')}`);
  });
  await check('the keyboard focus stays on a room while messages arrive', async () => {
    await joins(ann.page, 'attic');
    await ann.page.getByRole('heading', { name: 'attic' }).waitFor();
    for (const name of ['tea', 'Leave tea']) {
      await ann.page.getByRole('navigation').getByRole('button', { name: new RegExp(`^${name}`) }).focus();
      await says(ben.page, 'two lumps?');
      await room(ann.page, 'tea').getByText(/unread/).waitFor();
      const focus = await ann.page.evaluate('document.activeElement.ariaLabel ?? document.activeElement.firstChild.data');
      assert(focus === name, `the focus is on ${focus}, not on ${name}`);
      await room(ann.page, 'tea').click();
      await room(ann.page, 'attic').click();
    }
    await ann.page.getByRole('button', { name: 'Leave attic' }).click();
    await room(ann.page, 'tea').click();
  });
  await check('the room that is open stands out in the list, in a high-contrast mode, too', async () => {
    const weight = name => room(ann.page, name).evaluate(e => getComputedStyle(e).fontWeight);
    const weights = [await weight('tea'), await weight('lobby')];
    assert(weights.join() === '700,500', `the weights are ${weights}`);
  });
  await check('a draft stays in its room', async () => {
    const field = ann.page.getByLabel('Message', { exact: true });
    await field.fill('for tea');
    await room(ann.page, 'lobby').click();
    assert(await field.inputValue() === '', `the lobby has the draft ${await field.inputValue()}`);
    await field.fill('for the lobby');
    await room(ann.page, 'tea').click();
    assert(await field.inputValue() === 'for tea', `tea has the draft ${await field.inputValue()}`);
    await field.fill('');
  });
  await check('a pill tells of new messages while the reader has scrolled up', async () => {
    await log(ann.page).evaluate(e => { e.firstElementChild.before(Object.assign(document.createElement('div'), { id: 'tall', style: 'flex: none; height: 3000px' })); });
    await ann.page.evaluate('toEnd()');
    await log(ann.page).evaluate(e => { e.scrollTop = 0; });
    await ann.page.evaluate(() => new Promise(requestAnimationFrame));
    await says(ben.page, 'news');
    const pill = ann.page.getByRole('button', { name: '1 new message' });
    await pill.waitFor();
    await fits(ann.page, 'scrolled up');
    await pill.click();
    await pill.waitFor({ state: 'hidden' });
    await ann.page.evaluate(`document.querySelector('#tall').remove()`);
  });
  await check('two tabs are one person, which leaves with the last tab', async () => {
    const second = await open(ben.context, address);
    await connected(second);
    await is(here(second, 'Ben'), 1);
    await is(here(ann.page, 'Ben'), 1);
    await second.close();
    await says(ann.page, 'still there?');
    await hears(ben.page, 'still there?', 'Ann');
    await is(here(ann.page, 'Ben'), 1);
    await ben.page.close();
    await sees(ann.page, 'Ben left');
    await is(here(ann.page, 'Ben'), 0);
  });
  await check('the page remembers its name and its rooms', async () => {
    ben.page = await open(ben.context, address);
    await connected(ben.page);
    for (const name of ['lobby', 'tea']) await is(room(ben.page, name), 1);
    await sees(ann.page, 'Ben joined');
    await is(here(ann.page, 'Ben'), 1);
  });
  await check('a page that was closed shows what it has missed, and what it had shown before', async () => {
    await says(ben.page, 'one lump');
    await hears(ann.page, 'one lump', 'Ben');
    await ann.page.close();
    await sees(ben.page, 'Ann left');
    await says(ben.page, 'or two?');
    await hears(ben.page, 'or two?', 'You');
    ann.page = await open(ann.context, address);
    await connected(ann.page);
    await room(ann.page, 'tea').click();
    await hears(ann.page, 'or two?', 'Ben');
    await hasHeard(ann.page, ['one lump', 'or two?']);
    await sees(ann.page, 'You joined');
    assert(await log(ann.page).getByText('You may have missed messages').count() === 0, 'the page believes that it has missed messages');
    await says(ben.page, 'while you are offline');
    await hasHeard(ann.page, ['one lump', 'or two?', 'while you are offline']);
  });
  await check('a page whose connection was lost gets what was said meanwhile', async () => {
    const comesBack = await keptAway(ann.page);
    await ann.page.evaluate('client._socket.close()');
    await ann.page.waitForFunction(`client.state === 'waiting'`);
    const texts = ['are you there?', 'hello?'];
    for (const text of texts) await says(ben.page, text);
    await hears(ben.page, texts[1], 'You');
    await comesBack();
    await hasHeard(ann.page, texts);
    await connected(ann.page);
  });
  await check('both rejoin their rooms after a restart of the server', async () => {
    await server.stop();
    for (const { page } of [ann, ben]) {
      await sees(page, 'The connection was lost');
      await is(here(page, 'Ann'), 0);
    }
    await server.start();
    for (const { page } of [ann, ben]) {
      await connected(page);
      for (const name of ['Ann', 'Ben']) await is(here(page, name), 1);
      await sees(page, 'You may have missed messages'); // the server had them in its memory
    }
    await says(ben.page, 'back again');
    await hears(ann.page, 'back again', 'Ben');
    await room(ann.page, 'lobby').click();
    for (const name of ['Ann', 'Ben']) await is(here(ann.page, name), 1);
  });
  await check('leaving one room does not affect the others', async () => {
    await ben.page.getByRole('button', { name: 'Leave lobby' }).click();
    await sees(ann.page, 'Ben left');
    await is(here(ann.page, 'Ben'), 0);
    await room(ann.page, 'tea').click();
    await is(here(ann.page, 'Ben'), 1);
  });
  await check('a refused message is reported, and neither it nor a later one counts as pending', async () => {
    await says(ann.page, 'a bell: \x07');
    await sees(ann.page, 'Not sent: a bell: \x07 (a text has 1 to 4,000 characters, and no control characters)');
    for (const text of ['and now?', 'and now?', 'good']) await says(ann.page, text);
    await hears(ben.page, 'good', 'Ann');
    await hears(ann.page, 'good', 'You');
    await loses(ann.page);
    const lines = await log(ann.page).textContent();
    assert(!lines.includes('may not have arrived'), `a delivered message counts as pending: ${lines}`);
  });
  await check('a page that the server removes from a room says so, and can join again', async () => {
    await joins(ann.page, 'attic');
    await ann.page.getByRole('heading', { name: 'attic' }).waitFor();
    await ann.page.evaluate(`client._tell({ type: 'leave', room: 'attic' })`); // which the page does not know of
    await is(room(ann.page, 'attic'), 0);
    await sees(ann.page, 'You are no longer in attic (the server has removed you from this room)');
    await joins(ann.page, 'attic');
    await ann.page.getByRole('heading', { name: 'attic' }).waitFor();
    await ann.page.getByRole('button', { name: 'Leave attic' }).click();
    await room(ann.page, 'tea').click();
  });
  await check('a message that was pending when the connection was lost is reported', async () => {
    // Sent and closed in one turn of the event loop, so that the server cannot answer.
    await ann.page.evaluate(`message.value = 'hello?'; say.requestSubmit(); client._failures = 0; client._socket.close()`);
    await sees(ann.page, 'This may not have arrived: hello?');
    await connected(ann.page);
  });
  await check('an offline page counts down to its next try, which a button brings forward', () => offline(ann.page));
  await check('the page says why the server has refused it, and does not try again by itself', async () =>
    staysClosed(await person(browser, address, 'Eve')));
  await check('the page says that a message was too long for the server', () => sentTooMuch(ann.page, 'tea ', 20 << 10));
  await check('the page fits at each width, in light and in dark, while a person with a long name is typing', () => longNames(browser));
  await check('the list of people does not move while a person with a long name is typing', () => typingMoves(browser));
  await check('a narrow page shows the room, and has drawers for rooms and people', () => drawers(browser));
  await check('without a room, the page says how to join one', () => withoutRooms(browser));
  await check('the field for a room says what it expects', async () => {
    const field = ann.page.getByLabel('Room', { exact: true });
    assert((await field.getAttribute('title')).includes('without spaces'), 'there is no title');
    await joins(ann.page, 'two words');
    assert(await field.evaluate(e => e.validity.patternMismatch), 'two words are accepted');
    await field.fill('');
  });
  await check('the keyboard reaches everything, and shows where it is', () =>
    tabsThrough(ann.page, ['lobby', 'Leave lobby', 'tea', 'Leave tea', 'Room', 'Join', 'Messages', 'Message', 'Send', 'Your name']));
  await check('a room that the server refuses is neither shown nor remembered', async () => {
    const eve = await person(browser, address, 'Eve');
    for (let number = 1; number < 32; number++) await joins(eve.page, `room-${number}`);
    await is(room(eve.page, 'room-31'), 1);
    await joins(eve.page, 'one-more');
    await sees(eve.page, 'You cannot join one-more (the connection is already in 32 rooms, the maximum)');
    await is(room(eve.page, 'one-more'), 0);
    await eve.page.reload();
    await connected(eve.page);
    await sees(eve.page, 'You joined');
    await is(room(eve.page, 'one-more'), 0);
    await is(room(eve.page, 'lobby'), 1);
    assert(await eve.page.getByRole('button', { name: /^Leave/ }).count() === 32, 'there are more rooms, or fewer');
    await eve.context.close();
  });
}

async function longNames(browser) {
  const eve = await person(browser, address, LONG_NAME);
  const bob = await person(browser, address, 'Featherstonehaughington1');
  for (const { page } of [eve, bob]) {
    await joins(page, 'the-room-with-24-letters');
    await room(page, 'the-room-with-24-letters').waitFor();
    await says(page, LONG_WORD);
    await page.getByLabel('Message', { exact: true }).fill('w');
  }
  await is(here(eve.page, 'Featherstonehaughington1', 'typing'), 1);
  await fits(eve.page, 'talk');
  const button = eve.page.getByRole('button', { name: 'People' });
  await fits(eve.page, 'the drawer with people', { widths: [768, 390, 320], prepare: async () => {
    await bob.page.getByLabel('Message', { exact: true }).press('x'); // or it counts as a pause
    if (!await eve.page.locator('#people').isVisible()) await button.click();
    await is(here(eve.page, 'Featherstonehaughington1', 'typing'), 1);
  } });
  for (const { context } of [eve, bob]) await context.close();
}

/** Asserts that a long name is as high while its person types as before, and is not broken within a word that fits. */
async function typingMoves(browser) {
  const [eve, ben] = [await person(browser, address, 'Eve'), await person(browser, address, 'Ben Featherstonehaugh-Li')];
  const height = async () => (await here(eve.page, 'Ben Featherstonehaugh-Li', '(typing)?').boundingBox()).height;
  const before = await height();
  await ben.page.getByLabel('Message', { exact: true }).fill('w');
  await is(here(eve.page, 'Ben Featherstonehaugh-Li', 'typing'), 1);
  assert(await height() === before, `the person's line was ${before} px high, and is ${await height()} px high`);
  await fits(eve.page, 'someone types', { widths: [1280] });
  for (const { context } of [eve, ben]) await context.close();
}

async function drawers(browser) {
  const eve = await person(browser, address, 'Eve');
  const { page } = eve;
  const [navigation, list] = [page.getByRole('navigation'), page.getByRole('complementary')];
  await joins(page, 'tea');
  await room(page, 'tea').waitFor();
  for (const column of [navigation, list]) await column.waitFor();
  for (const width of [768, 390]) {
    await page.setViewportSize({ width, height: 800 });
    for (const column of [navigation, list]) await column.waitFor({ state: 'hidden' });
    await page.getByRole('heading', { name: 'tea' }).waitFor();
  }
  await page.getByRole('button', { name: 'Rooms' }).click();
  await navigation.waitFor();
  await fits(page, 'the drawer with rooms', { widths: [768, 390, 320], prepare: async () => {
    if (!await navigation.isVisible()) await page.getByRole('button', { name: 'Rooms' }).click();
  } });
  await room(page, 'lobby').click();
  await navigation.waitFor({ state: 'hidden' });
  await page.getByRole('heading', { name: 'lobby' }).waitFor();
  await page.getByRole('button', { name: 'People' }).click();
  await is(here(page, 'Eve'), 1);
  await page.keyboard.press('Escape');
  await list.waitFor({ state: 'hidden' });
  await eve.context.close();
}

async function withoutRooms(browser) {
  const eve = await person(browser, address, 'Eve');
  await leavesAll(eve.page);
  await eve.page.getByRole('heading', { name: 'You are not in a room' }).waitFor();
  assert(!await eve.page.getByLabel('Message', { exact: true }).isVisible(), 'there is a field for messages');
  await fits(eve.page, 'no room');
  await eve.page.reload();
  await connected(eve.page);
  await eve.page.getByRole('button', { name: 'Join the lobby' }).click();
  await eve.page.getByRole('heading', { name: 'lobby' }).waitFor();
  await is(here(eve.page, 'Eve'), 1);
  await eve.context.close();
}

// ---- the run ------------------------------------------------------------------------------------------------------------

await server.start();
const browser = await launch();
try {
  await within(180, twoPeople(browser));
} catch (error) {
  fail('the run as a whole', error);
} finally {
  await browser.close();
  await server.stop();
}
finish();
