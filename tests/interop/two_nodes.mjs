// Tests the example `rooms` on two nodes over Redis, in a real browser: two people talk, each on the page of another node. One node is killed.
// The page that was there comes back on the other node by itself, and shows what it has missed.
//
// node two_nodes.mjs ROOMS 127.0.0.1:PORT ROOMS 127.0.0.1:PORT redis://REDIS/
//
// ROOMS are programs of the example, on two runtimes, which this script starts and stops.

import { setTimeout as sleep } from 'node:timers/promises';
import { assert, check, fail, finish, within } from './checks.mjs';
import { launch } from './chromium.mjs';
import { connected, log, says, sees } from './page.mjs';
import { next, visitor } from './rooms_client.mjs';
import { hasHeard, hears, here, is, keptAway, person } from './rooms_page.mjs';
import { RoomsServer } from './rooms_server.mjs';

const [, , oneProgram, one, otherProgram, other, redis] = process.argv;
if (!redis) {
  console.error('usage: node two_nodes.mjs ROOMS 127.0.0.1:PORT ROOMS 127.0.0.1:PORT redis://REDIS/');
  process.exit(2);
}

/** How long others see a person on a node that was killed, at most, in seconds. */
const LEAVE = 12;
const MEANWHILE = ['Where are you?', 'The kettle is on.', 'It boils!'];

const servers = [
  new RoomsServer(oneProgram, one, '--redis', redis, '--node', `http://${other}`),
  new RoomsServer(otherProgram, other, '--redis', redis, '--node', `http://${one}`),
];

const times = async (page, line) => log(page).getByText(line, { exact: true }).count();

/** Ann and Ben have pages, on the first node and on the second. Eve is on the first node, and knows no other. */
async function threePeople(browser) {
  let ann, ben;
  const eve = visitor(one, 'Eve'), heard = [];
  const room = eve.join('lobby');
  room.addEventListener('message', ({ data }) => heard.push(data.text));

  await check('people on two nodes see each other, and what they say', async () => {
    ann = await person(browser, one, 'Ann');
    ben = await person(browser, other, 'Ben');
    for (const { page } of [ann, ben]) for (const name of ['Ann', 'Ben', 'Eve']) await is(here(page, name), 1);
    for (const [from, to, name, text] of [[ann, ben, 'Ann', 'Is it hot?'], [ben, ann, 'Ben', 'It is.']]) {
      await says(from.page, text);
      await hears(to.page, text, name);
    }
    for (const { page } of [ann, ben]) await hasHeard(page, ['Is it hot?', 'It is.']);
  });

  const annJoined = await times(ben.page, 'Ann joined'); // perhaps after Ben's page knew who is on its own node
  let leaving; // the seconds until Eve has left
  await check('a page whose node is killed comes back at the other, and shows what was said meanwhile', async () => {
    const comesBack = await keptAway(ann.page); // until there is something to miss
    const killed = Date.now();
    await servers[0].stop('SIGKILL');
    leaving = sees(ben.page, 'Eve left').then(() => (Date.now() - killed) / 1000);
    leaving.catch(() => {}); // the next check reports it
    await ann.page.waitForFunction(`client.state === 'waiting'`);
    for (const text of MEANWHILE) {
      await says(ben.page, text);
      await hears(ben.page, text, 'You');
    }
    await comesBack();
    await connected(ann.page);
    await hasHeard(ann.page, ['Is it hot?', 'It is.', ...MEANWHILE]);
    const { host } = new URL(await ann.page.evaluate('client._socket.url'));
    assert(host === other, `the page is at ${host}`);
    assert(await times(ann.page, 'You may have missed messages') === 0, 'the page believes that it has missed messages');
  });

  await check(`those who were there and do not come back leave once, within ${LEAVE} s`, async () => {
    const took = await leaving;
    console.log(`      it took ${took.toFixed(1)} s`);
    assert(took < LEAVE, `it took ${took} s`);
    await sees(ann.page, 'Eve left');
    await sleep(3000); // it might be told again
    for (const { page } of [ann, ben]) {
      assert(await times(page, 'Eve left') === 1, 'Eve has left more than once');
      await is(here(page, 'Eve'), 0);
      for (const name of ['Ann', 'Ben']) await is(here(page, name), 1);
    }
    assert(await times(ben.page, 'Ann left') === 0, 'Ann has left');
    assert(await times(ben.page, 'Ann joined') === annJoined, 'Ann has joined again');
  });

  await check('they talk on', async () => {
    for (const [from, to, name, text] of [[ann, ben, 'Ann', 'I am back.'], [ben, ann, 'Ben', 'So you are.']]) {
      await says(from.page, text);
      await hears(to.page, text, name);
    }
  });

  await check('a client that was away for longer gets all that it has missed, too', async () => {
    await servers[0].start();
    eve.client.open(); // or its next attempt might be in half a minute
    await eve.says(room, 'What have I missed?');
    await hears(ben.page, 'What have I missed?', 'Eve');
    while (heard.at(-1) !== 'What have I missed?') await next(room, 'message');
    const all = ['Is it hot?', 'It is.', ...MEANWHILE, 'I am back.', 'So you are.', 'What have I missed?'];
    assert(JSON.stringify(heard) === JSON.stringify(all), `Eve has heard ${JSON.stringify(heard)}`);
    for (const { page } of [ann, ben]) {
      await sees(page, 'Eve joined');
      await hasHeard(page, all);
    }
  });

  await check('a page that is loaded again shows what was said', async () => {
    await ben.page.reload();
    await connected(ben.page);
    await hasHeard(ben.page, [...MEANWHILE, 'I am back.', 'So you are.', 'What have I missed?']);
    assert(await times(ben.page, 'You may have missed messages') === 0, 'the page believes that it has missed messages');
  });
  eve.leaves();
}

for (const server of servers) await server.start();
process.on('exit', () => { for (const server of servers) server.process.kill('SIGKILL'); });
const browser = await launch();
try {
  await within(90, threePeople(browser));
  for (const server of servers) await server.stop('SIGTERM');
} catch (error) {
  fail('the run as a whole', error);
} finally {
  await browser.close();
}
finish();
