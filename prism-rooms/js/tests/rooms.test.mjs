// Rooms: when they are joined, and what becomes of messages.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { collect, failsWith, giveBack, joined, open, opened, pass, reconnected, settled, sockets, takeOver } from './fake.mjs';

beforeEach(takeOver);
afterEach(giveBack);

test('a room is joined once, when the connection is open, and again after each reconnection', async () => {
  const { client } = open();
  const room = client.join('tea', { meta: { name: 'Ada' }, presence: true });
  assert.equal(client.join('tea'), room);
  const events = collect(room, 'join');
  for (const missed of [false, true, true]) {
    await sockets.at(-1).welcomes();
    assert.equal(room.state, 'joining');
    await sockets.at(-1).accepts({ type: 'join', room: 'tea', meta: { name: 'Ada' }, watch: true });
    sockets.at(-1).hearsNothing();
    assert.deepEqual([room.state, events.at(-1).missed], ['joined', missed]);
    await sockets.at(-1).ends();
    await pass(30_000);
  }
});

test('messages of a room arrive with their data and sender, also before the answer to the join', async () => {
  const { client, socket } = await opened();
  const room = client.join('tea');
  const events = collect(room, 'message');
  await socket.says({ type: 'message', room: 'tea', from: 'ben', data: { text: 'hi' } }, { type: 'message', room: 'coffee', data: 1 });
  await socket.accepts({ type: 'join' });
  await socket.says({ type: 'message', room: 'tea', data: null });
  assert.deepEqual(events.map(({ data, from }) => [data, from]), [[{ text: 'hi' }, 'ben'], [null, undefined]]);
});

test('a message is sent at once, and its promise tells whether it was accepted', async () => {
  const { room, socket } = await joined();
  const [first, second, third] = [room.send('one'), room.send('two', { echo: false }), room.send(null)];
  await socket.accepts({ type: 'send', room: 'tea', data: 'one' });
  await first;
  await socket.refuses({ type: 'send', data: 'two', echo: false }, 'refused', 'not here');
  await assert.rejects(second, { code: 'refused', message: 'not here' });
  socket.hears({ data: null });
  await pass(10_000);
  await failsWith(third, 'timeout');
});

test('what cannot be JSON is not sent', async () => {
  const { room, socket } = await joined();
  await assert.rejects(room.send(1n), TypeError);
  socket.hearsNothing();
});

test('a message that is too long for the server is not sent', async () => {
  const { client } = open();
  const room = client.join('tea');
  const waiting = room.send('é'.repeat(500));
  await sockets[0].says({ type: 'welcome', version: 1, connection: 'c1', person: 'ada', max_data_size: 1000 });
  await sockets[0].accepts({ type: 'join' });
  await assert.rejects(waiting, { code: 'limit', message: 'the data is 1002 bytes of JSON, expected at most 1000' });
  room.send('é'.repeat(499));
  sockets[0].hears({ data: 'é'.repeat(499) });
  sockets[0].hearsNothing();
});

test('messages wait for the room, in their order, for 10 s', async () => {
  const { client } = open();
  const room = client.join('tea');
  const late = room.send('zero');
  await pass(9_000); // the socket is still connecting
  const sent = [room.send('one'), room.send('two')];
  const [socket] = sockets;
  await socket.welcomes();
  const { id } = socket.hears({ type: 'join' });
  await pass(1_000);
  await failsWith(late, 'unsent');
  socket.hearsNothing();
  await socket.says({ type: 'ok', id });
  for (const data of ['one', 'two']) await socket.accepts({ type: 'send', data });
  await Promise.all(sent);
});

test('a message whose answer was lost with the connection is not sent again, one that has waited is', async () => {
  const { room, socket } = await joined();
  const unanswered = room.send('maybe');
  socket.hears({ data: 'maybe' });
  await socket.ends();
  await failsWith(unanswered, 'lost');
  const waiting = room.send('later');
  await pass(500);
  await sockets[1].welcomes();
  await sockets[1].accepts({ type: 'join' });
  await sockets[1].accepts({ data: 'later' });
  await waiting;
  sockets[1].hearsNothing();
});

test('a message that has waited counts as sent from then on', async () => {
  const { client } = open();
  const [tea, coffee] = [client.join('tea'), client.join('coffee')];
  const [sent, waiting] = [tea.send('to tea'), coffee.send('to coffee')];
  await sockets[0].welcomes();
  await sockets[0].accepts({ type: 'join', room: 'tea' });
  sockets[0].hears({ type: 'join', room: 'coffee' });
  sockets[0].hears({ type: 'send', room: 'tea' });
  sockets[0].hearsNothing(); // for coffee is not joined
  await sockets[0].ends();
  await failsWith(sent, 'lost');
  await pass(500);
  await sockets[1].welcomes();
  for (const room of ['tea', 'coffee']) await sockets[1].accepts({ type: 'join', room });
  await sockets[1].accepts({ type: 'send', room: 'coffee' });
  sockets[1].hearsNothing();
  await waiting;
});

test('a room that is refused is left, with all that waits for it, and not joined again', async () => {
  const { client, socket } = await opened();
  const room = client.join('staff');
  const events = collect(room, 'leave');
  const [waiting, shown] = [room.send('hello?'), room.track(1)];
  await socket.refuses({ type: 'join' }, 'refused', 'this room is for staff');
  assert.deepEqual([room.state, events.length, events[0].error.message], ['left', 1, 'this room is for staff']);
  await failsWith(waiting, 'refused');
  await failsWith(shown, 'refused');
  await failsWith(room.send('hello?'), 'left');
  (await reconnected()).hearsNothing();
  assert.notEqual(client.join('staff'), room);
});

test('a room that cannot be joined now is tried again', async () => {
  const { client, socket } = await opened();
  const room = client.join('tea');
  const events = collect(room, 'error');
  await socket.refuses({ type: 'join' }, 'unavailable', 'the database is away');
  assert.deepEqual([room.state, events[0].error.code], ['joining', 'unavailable']);
  await pass(14_999);
  socket.hearsNothing();
  await pass(1);
  await socket.accepts({ type: 'join' });
  assert.equal(room.state, 'joined');
});

test('a retry of a join does not outlive its connection or its room', async () => {
  const { client, socket } = await opened();
  const [tea, coffee] = [client.join('tea'), client.join('coffee')];
  for (const room of ['tea', 'coffee']) await socket.refuses({ type: 'join', room }, 'unavailable');
  coffee.leave();
  socket.hearsNothing(); // the server has not let it in
  await socket.ends();
  await pass(500);
  await sockets[1].welcomes();
  await sockets[1].accepts({ type: 'join', room: 'tea' });
  await pass(15_000);
  sockets[1].hearsNothing();
  assert.equal(tea.state, 'joined');
});

test('a room that is full is tried again, also one that was joined before', async () => {
  const { room, events } = await joined();
  const next = await reconnected();
  await next.refuses({ type: 'join' }, 'full'); // our old connection may still be there
  assert.deepEqual([room.state, events.at(-1).error.code], ['joining', 'full']);
  await pass(15_000);
  await next.accepts({ type: 'join' });
  assert.equal(room.state, 'joined');
});

test('a join is sent once, however long its answer takes', async () => {
  const { client, socket } = await opened();
  const room = client.join('tea');
  const { id } = socket.hears({ type: 'join' });
  for (let time = 0; time < 6; time++) {
    await pass(10_000);
    await socket.says({ type: 'message', room: 'elsewhere', data: 1 }); // the server is there
  }
  socket.hearsNothing();
  await socket.says({ type: 'ok', id });
  assert.equal(room.state, 'joined');
});

test('few joins are on their way at the same time', async () => {
  const { client } = open();
  const rooms = Array.from({ length: 40 }, (_, number) => client.join(`room-${number}`));
  const [socket] = sockets;
  await socket.welcomes();
  assert.equal(socket.requests.length, 16);
  rooms[20].leave(); // it has not been asked for
  await socket.refuses({ type: 'join', room: 'room-0' }, 'refused');
  for (let count = 1; count < 16; count++) await socket.accepts({ type: 'join', room: `room-${count}` });
  socket.hears({ type: 'leave', room: 'room-0' });
  socket.hears({ type: 'join', room: 'room-16' });
  assert.equal(socket.requests.length, 15);
  const next = await reconnected();
  assert.deepEqual(next.requests.map(({ room }) => room), rooms.slice(1, 17).map(({ name }) => name));
});

test('a client that is removed right after it has joined is told both', async () => {
  const { client, socket } = await opened();
  const room = client.join('tea');
  const events = collect(room, 'join', 'leave');
  const { id } = socket.hears({ type: 'join' });
  await socket.says({ type: 'ok', id }, { type: 'left', room: 'tea' }); // in one turn
  assert.deepEqual([room.state, events.map(({ type }) => type)], ['left', ['join', 'leave']]);
});

test('a room that was left is not joined again, and its messages are not shown', async () => {
  const { client, room, socket, events } = await joined();
  room.leave();
  room.leave();
  socket.hears({ type: 'leave', room: 'tea' });
  socket.hearsNothing();
  await socket.says({ type: 'message', room: 'tea', data: 1 }, { type: 'left', room: 'tea' });
  assert.deepEqual(events.map(({ type }) => type), ['join', 'leave']);
  await failsWith(room.send(1), 'left');
  await failsWith(room.track(1), 'left');
  const again = client.join('tea');
  assert.notEqual(again, room);
  await socket.says({ type: 'left', room: 'tea' }); // about the earlier stay
  await socket.accepts({ type: 'join' });
  assert.equal(again.state, 'joined');
});

test('a room that is left while there is no connection is just forgotten', async () => {
  const { room, socket } = await joined();
  await socket.ends();
  room.leave();
  await pass(500);
  await sockets[1].welcomes();
  sockets[1].hearsNothing();
});

test('a client that the server removes from a room is told, and does not come back', async () => {
  const { room, socket, events } = await joined();
  await socket.says({ type: 'left', room: 'tea' });
  assert.deepEqual([room.state, events.at(-1).type, events.at(-1).error.code], ['left', 'leave', 'left']);
  (await reconnected()).hearsNothing();
});

test('a client that has missed its removal learns of it when it sends', async () => {
  const { room, socket } = await joined();
  const sent = room.send(1);
  await socket.refuses({ type: 'send' }, 'not_joined');
  await failsWith(sent, 'not_joined');
  assert.equal(room.state, 'left');
});

test('metadata is changed at once, and a change that was lost is made again', async () => {
  const { room, socket } = await joined('tea', { meta: 1 });
  const [good, bad] = [room.track(2), room.track('bad')];
  await socket.accepts({ type: 'track', room: 'tea', meta: 2 });
  await socket.refuses({ type: 'track', meta: 'bad' }, 'refused');
  await good;
  await failsWith(bad, 'refused');
  const lost = room.track(3);
  await socket.ends();
  await pass(500);
  await sockets[1].welcomes();
  await sockets[1].accepts({ type: 'join', meta: 2 });
  await sockets[1].accepts({ type: 'track', meta: 3 });
  await lost;
  await sockets[1].ends();
  await pass(30_000);
  await sockets[2].welcomes();
  await sockets[2].accepts({ type: 'join', meta: 3 });
});

test('metadata that change before the room is joined are sent after that, once, and may be refused', async () => {
  const { client, socket } = await opened();
  const room = client.join('tea', { meta: 1 });
  client.join('tea', { meta: 2, presence: true });
  const bad = room.track('bad');
  const { id } = socket.hears({ type: 'join', meta: 1 });
  socket.hearsNothing();
  await socket.says({ type: 'ok', id });
  await socket.accepts({ type: 'watch' });
  await socket.refuses({ type: 'track', meta: 'bad' }, 'refused');
  await failsWith(bad, 'refused');
  assert.equal(room.state, 'joined');
  const next = await reconnected();
  await next.accepts({ type: 'join', meta: 1 });
});

test('who does not want to be seen is not, however the connection fails', async () => {
  const { room, socket } = await joined('tea', { meta: 1 });
  const hidden = room.track(undefined);
  socket.hears({ type: 'untrack' });
  const next = await reconnected();
  assert.equal('meta' in next.requests[0], false);
  await next.accepts({ type: 'join' });
  await next.accepts({ type: 'untrack' });
  await hidden;
});

test('metadata that wait when the connection is closed are for the next join, but nobody waits for them', async () => {
  const { client, room, socket } = await joined('tea', { meta: 1 });
  await socket.ends();
  const waiting = room.track(2);
  client.close();
  await failsWith(waiting, 'closed');
  await failsWith(room.track(3), 'closed');
  client.open();
  await sockets[1].welcomes();
  await sockets[1].accepts({ type: 'join', meta: 1 });
  await sockets[1].accepts({ type: 'track', meta: 2 });
  await sockets[1].ends();
  room.track(4);
  client.close();
  client.open();
  const last = room.track(5); // does not share the fate of the one before
  await sockets[2].welcomes();
  await sockets[2].accepts({ type: 'join', meta: 2 });
  await sockets[2].accepts({ type: 'track', meta: 5 });
  await last;
});

test('messages without an answer are limited', async () => {
  const { room, socket } = await joined();
  for (let count = 0; count < 256; count++) room.send(count);
  await failsWith(room.send('too many'), 'busy');
  await socket.accepts({ data: 0 });
  const sent = room.send('fits');
  assert.equal(socket.requests.at(-1).data, 'fits');
  await socket.ends();
  await failsWith(sent, 'lost');
});

test('after the end of the connection, messages fail at once, and open joins again', async () => {
  const { client, room, socket } = await joined();
  await socket.ends();
  const waiting = room.send(1);
  client.close();
  await failsWith(waiting, 'closed');
  await failsWith(room.send(2), 'closed');
  client.open();
  await sockets[1].welcomes();
  await sockets[1].accepts({ type: 'join', room: 'tea' });
  assert.equal(room.state, 'joined');
});

test('failures that nobody handles are no errors of the process', async () => {
  const unhandled = [];
  const notice = error => unhandled.push(error);
  process.on('unhandledRejection', notice);
  const { client, room, socket } = await joined();
  room.send(1);
  room.track(2);
  client.join('coffee', { presence: true });
  await socket.ends();
  room.send(3);
  client.close();
  room.send(4);
  room.leave();
  room.send(5);
  room.track(6);
  await settled();
  process.off('unhandledRejection', notice);
  assert.deepEqual(unhandled, []);
});
