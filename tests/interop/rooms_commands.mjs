// Tests the commands of the example `rooms`, with clients that are no page.

import { assert, check, within } from './checks.mjs';
import { bareClient, listInterval } from './rooms_client.mjs';

let address;

/** Tests all commands of the server at this address. */
export async function commands(at) {
  address = at;
  await within(40, withoutThePage());
  await within(40, renames());
  await within(40, tooSoon());
  await within(40, badNames());
  await within(40, manyRooms());
}

async function withoutThePage() {
  await check('a client without the page can use all commands', async () => {
    const eve = bareClient(address);
    await eve.opened;
    assert((await eve.says('name', '/name Eve')).name === 'Eve', 'it has another name');
    const shown = eve.says('joined'); // follows the state, which may arrive before anyone waits for it
    assert((await eve.says('presence', '/join attic')).room === 'attic', 'the answer is about another room');
    await shown;
    const again = await eve.says('people', '/join attic');
    assert(again.presence === 'state' && again.people[0].key === 'Eve', `joining again is answered with ${JSON.stringify(again)}`);
    const { people } = await eve.says('who', '/who attic');
    assert(people.join() === 'Eve', `${people} are in the attic`);
    await listInterval();
    const { rooms } = await eve.says('rooms', '/rooms');
    const attic = rooms.find(({ room }) => room === 'attic');
    assert(attic?.members === 1, `the rooms are ${JSON.stringify(rooms)}`);
    assert((await eve.says('text', 'attic anyone?')).text === 'anyone?', 'another text arrived');
    await eve.says('left', '/leave attic');
    await listInterval();
    const after = await eve.says('rooms', '/rooms');
    assert(!after.rooms.some(({ room }) => room === 'attic'), 'the room is still there');
  });
  await check('rooms per connection and the size of a message are limited', async () => {
    const eve = bareClient(address);
    await eve.opened;
    const { error } = await eve.says('error', ...Array.from({ length: 33 }, (_, number) => `/join room-${number}`));
    assert(error === 'the connection is already in 32 rooms, the maximum', error);
    assert((await eve.says('people', '/join room-7')).room === 'room-7', 'the answer is about another room');
    const refused = await eve.says('error', 'attic I am not there');
    assert(refused.error === 'you are not in this room', refused.error);
    eve.says('nothing', `room-1 ${'x'.repeat(20_000)}`);
    const code = await eve.closed;
    assert(code === 1009, `it was closed with ${code}`);
  });
}

async function renames() {
  await check('a person with two tabs that renames one of them comes, and leaves by renaming it back', async () => {
    const [bob, tab, watcher] = [bareClient(address), bareClient(address), bareClient(address)];
    for (const client of [bob, tab, watcher]) await client.opened;
    for (const client of [bob, tab]) await client.says('name', '/name Bob');
    for (const client of [watcher, bob, tab]) await client.says('presence', '/join cellar');
    for (const [order, field, expected] of [
      ['/name Bobby', 'came', { came: 'Bobby', room: 'cellar' }],
      ['/name Bob', 'gone', { gone: 'Bobby', room: 'cellar' }],
    ]) {
      const announced = watcher.says(field);
      await tab.says('name', order);
      assert(JSON.stringify(await announced) === JSON.stringify(expected), `${order}: ${JSON.stringify(await announced)}`);
      await listInterval();
    }
    const announced = watcher.says('renamed');
    await tab.says('name', '/name Bobby');
    await listInterval();
    await bob.says('name', '/name Rob');
    assert(JSON.stringify(await announced) === '{"renamed":"Bob","room":"cellar","to":"Rob"}', JSON.stringify(await announced));
  });
}

async function tooSoon() {
  await check('lists and new names are refused if they come too soon', async () => {
    const eve = bareClient(address);
    await eve.opened;
    const isRefused = ({ error }) => assert(/^too soon, expected no earlier than in \d+ ms$/.test(error), error);
    // In no room, a new name costs nothing.
    for (const name of ['Eve', 'Eva']) await eve.says('name', `/name ${name}`);
    for (const order of ['/rooms', '/who attic', '/name Evi']) {
      await listInterval();
      // Both lines are sent at once, because on a slow machine an answer may take as long as the interval.
      isRefused(await eve.says('error', '/rooms', order));
    }
    await listInterval();
    await eve.says('of', '/who attic');
    await listInterval();
    // In 32 rooms, it costs as much as 32 lists.
    await eve.says('name', ...Array.from({ length: 32 }, (_, number) => `/join room-${number}`), '/name Evi');
    const refused = await eve.says('error', '/name Eve');
    isRefused(refused);
    assert(parseInt(refused.error.match(/\d+/)) > 500, `32 rooms do not count: ${refused.error}`);
    const bob = bareClient(address);
    await bob.opened;
    await bob.says('of', '/rooms'); // each client has its own time
  });
}

async function badNames() {
  await check('names of people and rooms contain no invisible characters', async () => {
    const eve = bareClient(address);
    await eve.opened;
    for (const hidden of ['\0', '\n', '\x1b', '\x7f', '\x85', '\u00ad', '\u200b', '\u200f', '\u2028', '\u202e', '\u2066', '\ufeff'])
      for (const order of ['/name', '/join']) {
        const line = `${order} A${hidden}nn`;
        const refused = await eve.says('line', line);
        assert(refused.line === line && /^a (room )?name has 1 to 24 characters/.test(refused.error), JSON.stringify(refused));
      }
    for (const name of ['Zoë', 'سارا', '👩\u200d💻', 'علی\u200cرضا']) assert((await eve.says('name', `/name ${name}`)).name === name, name);
  });
}

async function manyRooms() {
  await check('a list is paged, and says how long it is', async () => {
    const clients = Array.from({ length: 4 }, () => bareClient(address));
    for (const [number, client] of clients.entries()) {
      await client.opened;
      const rooms = Array.from({ length: 32 }, (_, room) => `/join many-${number}-${room}`);
      await client.says('who', ...rooms, '/who attic');
    }
    await listInterval();
    const { rooms, of } = await clients[0].says('rooms', '/rooms');
    assert(rooms.length === 100, `${rooms.length} are listed`);
    assert(of >= 128, `there are ${of}`);
    const names = rooms.map(({ room }) => room);
    assert(names.join() === names.toSorted().join(), `they are out of order: ${names}`);
    const known = Array.from({ length: 4 }, (_, number) => Array.from({ length: 32 }, (_, room) => `many-${number}-${room}`)).flat().sort();
    await listInterval();
    const next = await clients[0].says('rooms', `/rooms ${names.at(-1)}`);
    const all = [...names, ...next.rooms.map(({ room }) => room)];
    assert(all.length === of, `${all.length} are on two pages`);
    assert(all.filter(name => name.startsWith('many-')).join() === known.join(), `they are not all, in order: ${all}`);
  });
}
