// Tests prism.js in Node, and what its server allows, with the example `rooms`.
//
// node rooms_in_node.mjs ROOMS 127.0.0.1:PORT
//
// ROOMS is the program of the example, which this script starts and stops.

import { assert, check, finish } from './checks.mjs';
import { next, visitor } from './rooms_client.mjs';
import { RoomsServer } from './rooms_server.mjs';

const [, , program, address] = process.argv;
if (!address) {
  console.error('usage: node rooms_in_node.mjs ROOMS 127.0.0.1:PORT');
  process.exit(2);
}

const server = new RoomsServer(program, address);
const nobody = '127.0.0.1:1'; // no server has this port

/** Asserts that a promise fails with this code, and returns the error. */
async function failsWith(promise, code) {
  const error = await promise.then(() => assert(false, 'it did not fail'), error => error);
  assert(error.code === code, `it failed with ${error.code}: ${error}`);
  return error;
}

function is(actual, expected) {
  assert(JSON.stringify(actual) === JSON.stringify(expected), `it is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
}

/** Returns the names of the people in a room, with all their connections. */
const namesIn = room => [...room.people.values()].map(({ connections }) => connections.map(({ meta }) => meta.name).join('+')).sort();

await server.start();
process.on('exit', () => server.process.kill('SIGKILL'));

await check('two clients see each other, and what they say', async () => {
  const [ann, ben] = [visitor(address, 'Ann'), visitor(address, 'Ben')];
  const [there, here] = [await ann.enters('tea'), ben.join('tea')];
  const seen = next(there, 'presence', () => there.people.has(ben.key));
  const heard = [next(there, 'message'), next(here, 'message')];
  await ben.says(here, 'Is it hot?'); // waits until the room is joined
  for (const event of heard) {
    const { from, data } = await event;
    is([from, data], [ben.key, { name: 'Ben', text: 'Is it hot?' }]);
  }
  await seen;
  is(namesIn(there), ['Ann', 'Ben']);
  const typing = next(there, 'presence', ({ updated }) => updated.some(({ key }) => key === ben.key));
  await here.track({ name: 'Ben', typing: true });
  await typing;
  is(there.people.get(ben.key).connections[0].meta, { name: 'Ben', typing: true });
  const gone = next(there, 'presence', ({ left }) => left.includes(ben.key));
  ben.leaves();
  await gone;
  is(namesIn(there), ['Ann']);
  ann.leaves();
});

await check('connections of the same key are one person, who leaves with the last', async () => {
  const watcher = visitor(address, 'Ann'), tabs = [visitor(address, 'Bob', 'bob'), visitor(address, 'Bob', 'bob')];
  const room = await watcher.enters('cellar');
  const both = next(room, 'presence', () => namesIn(room).includes('Bob+Bob'));
  for (const tab of tabs) await tab.enters('cellar');
  await both;
  const renamed = next(room, 'presence', () => namesIn(room).includes('Bob+Bobby'));
  await tabs[1].join('cellar').track({ name: 'Bobby', typing: false });
  await renamed;
  const one = next(room, 'presence', ({ left }) => { assert(!left.length, 'the person has left'); return namesIn(room).includes('Bobby'); });
  tabs[0].leaves();
  await one;
  const gone = next(room, 'presence', ({ left }) => left.includes('bob'));
  tabs[1].leaves();
  await gone;
  watcher.leaves();
});

await check('what the chat does not allow is refused with a reason', async () => {
  const eve = visitor(address, 'Eve');
  const room = await eve.enters('attic');
  const [badName, badText] = [/^a name has 1 to 24 characters/, /^a text has 1 to 4,000 characters/];
  for (const hidden of ['\0', '\n', '\x1b', '\x7f', '\x85', '\u00ad', '\u200b', '\u200f', '\u2028', '\u202e', '\u2066', '\ufeff']) {
    const name = `A${hidden}nn`;
    const error = await failsWith(room.track({ name, typing: false }), 'refused');
    assert(badName.test(error.message), error.message);
    const { error: refusal } = await next(eve.join(name), 'leave');
    assert(/^a room name has 1 to 24 characters/.test(refusal.message), refusal.message);
  }
  for (const name of ['Zoë', 'سارا', '👩\u200d💻', 'علی\u200cرضا']) await room.track({ name, typing: false });
  for (const text of ['', 'x'.repeat(4001), 'a bell: \x07']) {
    const error = await failsWith(eve.says(room, text), 'refused');
    assert(badText.test(error.message), error.message);
  }
  for (const data of ['text', { text: 'hi' }, { name: 'Eve', text: 'hi', more: 1 }, null]) await failsWith(room.send(data), 'refused');
  await failsWith(room.send({ name: 'E\u200bve', text: 'hi' }), 'refused');
  await eve.says(room, 'x'.repeat(4000));
  eve.leaves();
});

await check('rooms per connection and the size of a message are limited', async () => {
  const eve = visitor(address, 'Eve');
  const rooms = Array.from({ length: 33 }, (_, number) => eve.join(`room-${number}`));
  const { error } = await next(rooms[32], 'error'); // it asks again later
  is([error.code, error.message], ['full', 'the connection is already in 32 rooms, the maximum']);
  is(rooms.slice(0, 32).every(({ state }) => state === 'joined'), true);
  await failsWith(eve.says(rooms[0], 'x'.repeat(50_000)), 'limit');
  is([eve.client.state, rooms[0].state], ['open', 'joined']);
  eve.leaves();
});

await check('a client that was away gets what it has missed, once and in order', async () => {
  const [ann, ben] = [visitor(address, 'Ann'), visitor(address, 'Ben')];
  const [there, here] = [await ann.enters('library'), await ben.enters('library')];
  const heard = [];
  there.addEventListener('message', ({ data }) => heard.push(data.text));
  await ben.says(here, 'before');
  const texts = Array.from({ length: 20 }, (_, number) => `meanwhile ${number}`);
  ann.client._connect = () => {}; // it does not come back until it is told to
  ann.client._socket.close();
  await next(ann.client, 'state', ({ state }) => state === 'waiting');
  const again = next(there, 'join');
  for (const text of texts) await ben.says(here, text);
  delete ann.client._connect;
  ann.client.open();
  is((await again).missed, false);
  await ben.says(here, 'after');
  if (heard.at(-1) !== 'after') await next(there, 'message');
  is(heard, ['before', ...texts, 'after']);

  // As a page that was loaded again: from a position that was stored.
  const late = visitor(address, 'Late'), repeated = [];
  const { position } = await ann.says(there, 'and now');
  const room = late.client.join('library', { after: position });
  room.addEventListener('message', ({ data }) => repeated.push(data.text));
  await ann.says(there, 'the end');
  if (repeated.at(-1) !== 'the end') await next(room, 'message', ({ data }) => data.text === 'the end');
  is(repeated, ['the end']);
  for (const person of [ann, ben, late]) person.leaves();
});

await check('a new client gets what was said last, once, and then what is new', async () => {
  const [ann, ben] = [visitor(address, 'Ann'), visitor(address, 'Ben')];
  const there = await ann.enters('parlor');
  const texts = Array.from({ length: 60 }, (_, number) => `said ${number}`);
  for (const text of texts) await ann.says(there, text);
  const here = ben.join('parlor'), heard = [];
  here.addEventListener('message', ({ data }) => heard.push(data.text));
  is((await next(here, 'join')).missed, false);
  is(heard, texts.slice(-50));
  await ann.says(there, 'and now');
  if (heard.at(-1) !== 'and now') await next(here, 'message');
  is(heard, [...texts.slice(-50), 'and now']);
  for (const person of [ann, ben]) person.leaves();
});

await check('a restart of the server costs what was on its way, and nothing else', async () => {
  Math.random = () => 0.1; // every other attempt fails, so that the delays grow
  const [ann, ben] = [visitor([nobody, address], 'Ann'), visitor([nobody, address], 'Ben')];
  const [there, here] = [await ann.enters('tea'), await ben.enters('tea')];
  for (const signal of ['SIGKILL', 'SIGTERM']) {
    const lost = next(ann.client, 'state');
    await server.stop(signal);
    is((await lost).state, 'waiting');
    await server.start();
    const again = next(there, 'join');
    const [heard, missed] = [next(there, 'message'), next(there, 'missed')];
    if (here.state === 'joined') await next(ben.client, 'state');
    await ben.says(here, 'back again'); // waits for the connection
    is((await again).missed, true);
    is((await missed).reason, 'unknown'); // the history was in the server's memory
    // Ann may have joined after Ben has spoken: then he says it again.
    const timer = setInterval(() => ben.says(here, 'back again'), 200);
    is((await heard).data.text, 'back again');
    clearInterval(timer);
    if (namesIn(there).length < 2) await next(there, 'presence', () => namesIn(there).length === 2);
    is(namesIn(there), ['Ann', 'Ben']);
  }
  for (const person of [ann, ben]) person.leaves();
});

await server.stop('SIGTERM');
finish();
