// Presence: the list of people follows the server, whatever is missed.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { collect, giveBack, opened, pass, sockets, takeOver } from './fake.mjs';

beforeEach(takeOver);
afterEach(giveBack);

const person = (key, meta = 0) => ({ key, connections: [{ id: `${key}1`, meta }] });
const state = (number, ...people) => ({ presence: 'state', room: 'tea', number, people });
const diff = (number, { joined = [], updated = [], left = [] }) => ({ presence: 'diff', room: 'tea', number, joined, updated, left });

async function watching() {
  const { client, socket } = await opened();
  const room = client.join('tea', { presence: true });
  const events = collect(room, 'presence', 'error');
  const { id } = socket.hears({ type: 'join', watch: true });
  await socket.says(state(3, person('ada'), person('ben')), { type: 'ok', id });
  return { client, socket, room, events };
}

const keys = room => [...room.people.keys()].sort().join();

/** What an event tells: who joined, was updated, and left. */
const news = ({ joined, updated, left }) => [joined, updated].map(people => people.map(({ key }) => key).join()).concat(left.join()).join(' | ');

test('the state and the changes after it make the list', async () => {
  const { room, socket, events } = await watching();
  assert.equal(keys(room), 'ada,ben');
  await socket.says(diff(4, { joined: [person('eve')], updated: [person('ada', 7)], left: ['ben'] }));
  assert.equal(keys(room), 'ada,eve');
  assert.equal(room.people.get('ada').connections[0].meta, 7);
  assert.deepEqual(events.map(news), ['ada,ben |  | ', 'eve | ada | ben']);
  assert.deepEqual(events.map(({ isState }) => isState), [true, false]);
  assert.equal(events[1].people, room.people);
});

test('after a gap, the state is asked for once, and changes until then are ignored', async () => {
  const { room, socket, events } = await watching();
  await socket.says(diff(5, { left: ['ada'] }), diff(6, { left: ['ben'] }));
  assert.equal(keys(room), 'ada,ben');
  const { id } = socket.hears({ type: 'watch', room: 'tea' });
  socket.hearsNothing();
  await socket.says(state(6, person('eve'), person('ben', 1)), { type: 'ok', id }, diff(7, { joined: [person('ian')] }));
  assert.equal(keys(room), 'ben,eve,ian');
  assert.deepEqual(events.slice(1).map(news), ['eve | ben | ada', 'ian |  | ']);
  await pass(20_000);
  socket.hearsNothing();
});

test('a change that comes twice is a gap as well', async () => {
  const { socket } = await watching();
  await socket.says(diff(4, {}), diff(4, {}));
  socket.hears({ type: 'watch' });
});

test('a request for the state that is refused is not sent again, one that may be allowed later is', async () => {
  const { socket, events } = await watching();
  await socket.says(diff(9, {}));
  await socket.refuses({ type: 'watch' }, 'unavailable');
  socket.hearsNothing();
  await pass(15_000);
  await socket.refuses({ type: 'watch' }, 'refused');
  await pass(60_000);
  assert.equal(socket.requests.filter(({ type }) => type === 'watch').length, 0);
  assert.deepEqual(events.slice(1).map(({ error }) => error.code), ['unavailable', 'refused']);
});

test('a change that comes instead of the state is a gap', async () => {
  const { client, socket } = await opened();
  client.join('tea', { presence: true });
  await socket.accepts({ type: 'join', watch: true });
  await socket.says(diff(4, {}));
  socket.hears({ type: 'watch' });
});

test('after a gap before the answer to the join, the state is asked for when the room is joined', async () => {
  const { client, socket } = await opened();
  const room = client.join('tea', { presence: true });
  const { id } = socket.hears({ type: 'join', watch: true });
  await socket.says(state(3, person('ada')), diff(5, { joined: [person('eve')] }), diff(6, { left: ['ada'] }));
  socket.hearsNothing();
  await socket.says({ type: 'ok', id });
  await socket.says(state(6, person('ben'), person('eve')), { type: 'ok', id: socket.hears({ type: 'watch', room: 'tea' }).id });
  assert.equal(keys(room), 'ben,eve');
  socket.hearsNothing();
});

test('after a gap behind the state that was asked for, but before the answer, it is asked for again', async () => {
  const { room, socket } = await watching();
  await socket.says(diff(5, {}));
  const { id } = socket.hears({ type: 'watch' });
  await socket.says(state(6, person('ada')), diff(8, { joined: [person('eve')] }), { type: 'ok', id });
  await pass(2_000);
  await socket.says(state(8, person('ben')), { type: 'ok', id: socket.hears({ type: 'watch' }).id });
  assert.equal(keys(room), 'ben');
  socket.hearsNothing();
});

test('a state that comes before the answer ends a gap, and one that is late is not asked for again', async () => {
  for (const isLate of [false, true]) {
    const { client, socket } = await opened();
    const room = client.join('tea', { presence: true });
    const { id } = socket.hears({ type: 'join', watch: true });
    await socket.says(diff(3, {})); // of an earlier stay
    const messages = [state(6, person('ben')), { type: 'ok', id }];
    await socket.says(...(isLate ? messages.reverse() : messages));
    assert.equal(keys(room), 'ben');
    socket.hearsNothing();
    sockets.length = 0;
  }
});

test('gaps that follow each other are repaired less and less often', async () => {
  const { socket } = await watching();
  await socket.says(diff(9, {}));
  await socket.accepts({ type: 'watch' });
  for (const delay of [2_000, 4_000, 8_000, 15_000, 15_000]) {
    await socket.says(state(20), diff(22, {}), diff(23, {}));
    await pass(delay - 1);
    assert.equal(socket.requests.filter(({ type }) => type === 'watch').length, 0);
    await pass(1);
    socket.requests = socket.requests.filter(({ type }) => type === 'watch'); // not the pings
    await socket.accepts({ type: 'watch' });
  }
  await socket.says(state(30), diff(31, {}), diff(33, {}));
  socket.hears({ type: 'watch' });
});

test('what becomes of such a request does not matter any more in a room that was left', async () => {
  const { room, socket, events } = await watching();
  await socket.says(diff(9, {}));
  room.leave();
  await socket.refuses({ type: 'watch' }, 'not_joined');
  assert.deepEqual(events.map(({ type }) => type), ['presence']);
});

test('a repair that waits ends with the room', async () => {
  const { room, socket } = await watching();
  await socket.says(diff(9, {}));
  await socket.accepts({ type: 'watch' });
  await socket.says(state(10), diff(12, {}));
  room.leave();
  socket.hears({ type: 'leave' });
  await pass(20_000);
  socket.hearsNothing();
});

test('a state that nobody asked for replaces the list', async () => {
  const { room, socket, events } = await watching();
  await socket.says(state(12, person('ada')), diff(13, { joined: [person('ian')] }));
  assert.equal(keys(room), 'ada,ian');
  assert.equal(news(events[1]), ' |  | ben');
});

test('after a reconnection, changes count from the new state on, and the event tells what is different', async () => {
  const { room, socket, events } = await watching();
  await socket.ends();
  assert.equal(keys(room), 'ada,ben'); // the last that is known
  await pass(500);
  await sockets[1].welcomes();
  await sockets[1].says(diff(4, { left: ['ada'] })); // of no state that it has
  assert.equal(keys(room), 'ada,ben');
  await sockets[1].says(state(0, person('ben'), person('eve')));
  await sockets[1].accepts({ type: 'join', watch: true });
  await sockets[1].says(diff(1, { left: ['eve'] }));
  assert.deepEqual(events.slice(1).map(news), ['eve |  | ada', ' |  | eve']);
  sockets[1].hearsNothing();
});

test('presence can be asked for later', async () => {
  const { client, socket } = await opened();
  const room = client.join('tea');
  await socket.accepts({ type: 'join' });
  client.join('tea', { presence: true });
  client.join('tea', { presence: true });
  await socket.accepts({ type: 'watch', room: 'tea' });
  socket.hearsNothing();
  await socket.says(state(1, person('ada')));
  assert.equal(keys(room), 'ada');
});

test('a room without presence ignores it', async () => {
  const { client, socket } = await opened();
  const room = client.join('tea');
  await socket.accepts({ type: 'join' });
  await socket.says(state(3, person('ada')), diff(4, { joined: [person('ben')] })); // of an earlier stay
  socket.hearsNothing();
  assert.equal(keys(room), '');
});
