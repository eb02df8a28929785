// Rooms whose messages are kept: what is missed comes later, once and in order, or the page is told.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { collect, giveBack, opened, pass, reconnected, sockets, takeOver } from './fake.mjs';

beforeEach(takeOver);
afterEach(giveBack);

/** Joins a room whose last message has this position, and collects what the page is told. */
async function joinedAt(position, options = undefined, addresses = undefined) {
  const { client, socket } = await opened(addresses);
  const room = client.join('tea', options);
  const events = collect(room, 'join', 'missed', 'message');
  await socket.accepts({ type: 'join', room: 'tea' }, { position });
  return { client, socket, room, events };
}

const message = (position, more = {}) => ({ type: 'message', room: 'tea', data: position, position, ...more });
const told = events => events.splice(0).map(({ type, data, reason }) => (type === 'message' ? data : reason ? `${type} ${reason}` : type));

test('what was missed comes before what is new, also at another address', async () => {
  const { room, socket, events } = await joinedAt('7-3', undefined, ['ws://a/', 'ws://b/']);
  assert.equal(room.position, '7-3');
  await socket.says(message('7-4'), message('7-5'));
  const next = await reconnected();
  assert.equal(next.url, 'ws://b/');
  const { id } = next.hears({ type: 'join', room: 'tea', after: '7-5' });
  await next.says(message('7-6'), message('7-7'), { type: 'ok', id, position: '7-7', recovered: true }, message('7-8'));
  assert.deepEqual(told(events), ['join', '7-4', '7-5', '7-6', '7-7', 'join', '7-8']);
  assert.equal(room.position, '7-8');
});

test('no message comes twice', async () => {
  const { room, socket, events } = await joinedAt('7-9');
  await socket.says(message('7-9'), message('7-10'), message('7-10'), message('7-2'));
  const next = await reconnected();
  const { id } = next.hears({ after: '7-10' });
  await next.says(message('7-10'), message('7-11'), { type: 'ok', id, position: '7-11', recovered: true }, message('7-11'));
  assert.deepEqual(told(events), ['join', '7-10', '7-11', 'join']);
  assert.equal(room.position, '7-11');
});

test('messages that are not kept come as they are', async () => {
  const { room, socket, events } = await joinedAt('7-1');
  await socket.says({ type: 'message', room: 'tea', data: 'now' }, message('7-2'), { type: 'message', room: 'tea', data: 'now' });
  assert.deepEqual(told(events), ['join', 'now', '7-2', 'now']);
  assert.equal(room.position, '7-2');
});

test('the page is told why it cannot have what it has missed', async () => {
  const { room, events } = await joinedAt('7-1');
  for (const [at, reason, position] of [['7-1', 'too_old', '7-900'], ['7-900', 'unknown', '8-0'], ['8-0', 'unknown', '8-0']]) {
    const next = await reconnected();
    await next.accepts({ type: 'join', after: at }, { recovered: false, reason, position });
    assert.equal(events.at(-2).missed, true);
    assert.deepEqual(told(events).slice(-2), ['join', `missed ${reason}`]);
    assert.equal(room.position, position);
  }
});

test('a position that there never was does not hide what comes', async () => {
  const { socket, events } = await joinedAt('7-4', { after: '7-99' });
  assert.deepEqual(told(events), ['join', 'missed not_kept']);
  await socket.says(message('7-5'));
  assert.deepEqual(told(events), ['7-5']);
});

test('what comes before the answer is newer than the answer', async () => {
  const { room, events } = await joinedAt('7-1');
  for (const [answer, reason] of [['8-3', 'unknown'], ['8-5', 'too_old']]) {
    const next = await reconnected();
    const { id } = next.hears({ type: 'join', after: room.position });
    const [epoch, offset] = answer.split('-');
    const live = `${epoch}-${Number(offset) + 1}`;
    await next.says(message(live), { type: 'ok', id, position: answer, recovered: false, reason });
    assert.deepEqual(told(events).slice(-3), [live, 'join', `missed ${reason}`]);
    assert.equal(room.position, live);
  }
});

test('what was repeated before a gap is older than the answer', async () => {
  const { room, socket, events } = await joinedAt('7-1');
  await socket.ends();
  await pass(30_000);
  await sockets[1].welcomes();
  const { id } = sockets[1].hears({ type: 'join', after: '7-1' });
  await sockets[1].says(message('7-2'), { type: 'ok', id, position: '7-50', recovered: false, reason: 'too_old' }, message('7-51'));
  assert.deepEqual(told(events), ['join', '7-2', 'join', 'missed too_old', '7-51']);
  assert.equal(room.position, '7-51');
});

test('a gap is told before the message that follows it', async () => {
  const { socket, events } = await joinedAt('7-1');
  await socket.says(message('7-2'), message('7-4'), message('8-1'), message('8-2'));
  assert.deepEqual(told(events), ['join', '7-2', 'missed lost', '7-4', 'missed lost', '8-1', '8-2']);
});

test('a server that has lost messages says so, and where it goes on', async () => {
  const { room, socket, events } = await joinedAt('7-1');
  await socket.says({ type: 'missed', room: 'tea', position: '8-4', reason: 'lost' });
  assert.equal(room.position, '8-4');
  await socket.says(message('8-5'));
  assert.deepEqual(told(events), ['join', 'missed lost', '8-5']);
});

test('a gap in a join that failed is told by the next', async () => {
  const { socket, events } = await joinedAt('7-1');
  await socket.ends();
  await pass(30_000);
  await sockets[1].welcomes();
  const { id } = sockets[1].hears({ type: 'join', after: '7-1' });
  await sockets[1].says(message('8-1'), { type: 'error', id, room: 'tea', code: 'unavailable', message: 'not now' });
  assert.deepEqual(told(events), ['join', '8-1']);
  await pass(30_000);
  await sockets[1].accepts({ type: 'join', after: '8-1' }, { recovered: true, position: '8-1' });
  assert.equal(events[0].missed, true);
  assert.deepEqual(told(events), ['join', 'missed lost']);
  const next = await reconnected();
  await next.accepts({ type: 'join', after: '8-1' }, { recovered: true, position: '8-1' });
  assert.deepEqual(told(events), ['join'], 'it is told once');
});

test('a page that was loaded again goes on where it was', async () => {
  const { client, socket } = await opened();
  const room = client.join('tea', { after: '7-4' });
  const events = collect(room, 'join', 'missed', 'message');
  assert.equal(room.position, '7-4');
  const { id } = socket.hears({ type: 'join', after: '7-4' });
  assert.equal(client.join('tea', { after: '7-1' }), room);
  await socket.says(message('7-5'), { type: 'ok', id, position: '7-5', recovered: true });
  assert.deepEqual(told(events), ['7-5', 'join']);
});

test('a server without a history may have sent something meanwhile', async () => {
  const { events } = await joinedAt(undefined);
  const next = await reconnected();
  assert.equal('after' in next.requests[0], false);
  await next.accepts({ type: 'join' });
  assert.deepEqual(told(events), ['join', 'join', 'missed not_kept']);
});

test('what comes before the answer to the first join is no gap', async () => {
  const { client, socket } = await opened();
  const room = client.join('tea');
  const events = collect(room, 'join', 'missed', 'message');
  const { id } = socket.hears({ type: 'join' });
  await socket.says(message('7-5'), { type: 'ok', id, position: '7-4' }, message('7-6'));
  assert.deepEqual(told(events), ['7-5', 'join', '7-6']);
});

test('a server that keeps nothing does not cost the place in the history of another', async () => {
  const { room, events } = await joinedAt('7-1');
  await (await reconnected()).accepts({ type: 'join', after: '7-1' }, { recovered: false, reason: 'not_kept' });
  assert.equal(room.position, '7-1');
  await (await reconnected()).accepts({ type: 'join', after: '7-1' }, { recovered: true, position: '7-1' });
  assert.deepEqual(told(events), ['join', 'join', 'missed not_kept', 'join']);
});

test('a message that is not for us only moves us on', async () => {
  const { room, socket, events } = await joinedAt('7-1');
  await socket.says(message('7-2', { except: 'c1' }), message('7-3', { except: 'c2' }));
  assert.deepEqual(told(events), ['join', '7-3']);
  assert.equal(room.position, '7-3');
});

test('what we have sent for others is not repeated to us after a reconnection', async () => {
  const { events } = await joinedAt('7-1');
  const next = await reconnected({ connection: 'c2' });
  const { id } = next.hears({ type: 'join', after: '7-1' });
  await next.says(message('7-2', { except: 'c1' }), message('7-3', { except: 'c3' }), { type: 'ok', id, recovered: true, position: '7-3' });
  assert.deepEqual(told(events), ['join', '7-3', 'join']);
});

test('a message that was sent has a position', async () => {
  const { room, socket } = await joinedAt('7-1');
  const sent = room.send('hello');
  await socket.accepts({ type: 'send', data: 'hello' }, { position: '7-2' });
  assert.equal((await sent).position, '7-2');
  assert.equal(room.position, '7-1', 'until it arrives');
});

test('a new client gets the last messages before it has joined, and then what is new', async () => {
  const { client, socket } = await opened();
  const room = client.join('tea', { recent: 2 });
  const events = collect(room, 'join', 'missed', 'message');
  const { id } = socket.hears({ type: 'join', room: 'tea', recent: 2 });
  await socket.says(message('7-5'), message('7-6'));
  assert.equal(room.state, 'joining', 'so that the page can tell what is old');
  await socket.says({ type: 'ok', id, position: '7-6' }, message('7-6'), message('7-7'));
  assert.deepEqual(told(events), ['7-5', '7-6', 'join', '7-7']);
  const next = await reconnected();
  await next.accepts({ type: 'join', after: '7-7' }, { recovered: true, position: '7-7' });
  assert.deepEqual(told(events), ['join'], 'they come once');
});

test('a page that does not say how many messages it wants leaves that to the server', async () => {
  const { client, socket } = await opened();
  client.join('tea');
  assert.equal('recent' in socket.hears({ type: 'join' }), false);
  client.join('milk', { recent: 0 });
  socket.hears({ type: 'join', recent: 0 });
});

test('a new client whose connection is lost among the last messages gets the others', async () => {
  const { client, socket } = await opened();
  const room = client.join('tea');
  const events = collect(room, 'join', 'missed', 'message');
  await socket.says(message('7-5'));
  const next = await reconnected();
  const { id } = next.hears({ type: 'join', after: '7-5' });
  await next.says(message('7-6'), { type: 'ok', id, position: '7-6', recovered: true });
  assert.deepEqual(told(events), ['7-5', '7-6', 'join']);
});

test('a new client that could not get all of the last messages is told', async () => {
  const { client, socket } = await opened();
  const room = client.join('tea');
  const events = collect(room, 'join', 'missed', 'message');
  const { id } = socket.hears({ type: 'join' });
  await socket.says(message('7-5'), { type: 'ok', id, position: '7-90', recovered: false, reason: 'lost' }, message('7-91'));
  assert.deepEqual(told(events), ['7-5', 'join', 'missed lost', '7-91']);
});
