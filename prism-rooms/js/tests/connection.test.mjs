// When the client connects, and to which address; when it waits, and when it stops.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { connect } from '../prism.js';
import { FakeSocket, collect, giveBack, open, opened, pass, settled, sockets, takeOver } from './fake.mjs';

beforeEach(takeOver);
afterEach(giveBack);

test('it is open when the server has welcomed it, and knows who it is', async () => {
  const { client, events } = open();
  assert.equal(client.state, 'connecting');
  await sockets[0].welcomes();
  assert.deepEqual([client.state, client.person, client.connection], ['open', 'ada', 'c1']);
  assert.deepEqual(events.map(({ state }) => state), ['open']);
});

test('delays are random up to a bound that doubles with each failure, up to 30 s', async () => {
  const { events } = open();
  for (let attempt = 0; attempt < 8; attempt++) {
    await sockets[attempt].ends();
    await pass(events.at(-1).delay);
  }
  const delays = events.filter(({ state }) => state === 'waiting').map(({ delay }) => delay);
  assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
});

test('a delay may be anything between nothing and the bound', async () => {
  for (const [chance, delay] of [[0, 0], [0.999, 999]]) {
    mock.method(Math, 'random', () => chance);
    const { events } = open();
    await sockets.at(-1).ends();
    assert.equal(events.at(-1).delay, delay);
  }
});

test('only a connection that has lasted makes the next delay short again', async () => {
  const { events } = open();
  const loses = async after => {
    await sockets.at(-1).welcomes();
    await pass(after);
    await sockets.at(-1).ends();
    const { delay } = events.at(-1);
    await pass(delay);
    return delay;
  };
  assert.deepEqual([await loses(4_999), await loses(4_999), await loses(5_000), await loses(0)], [500, 1000, 500, 1000]);
});

test('each attempt is to the next address, and a function is asked for one each time', async () => {
  let token = 0;
  open(['ws://a/', 'https://b/ws', async () => `wss://c/?token=${++token}`]);
  for (let attempt = 0; attempt < 6; attempt++) {
    await settled();
    await sockets[attempt].ends();
    await pass(30_000);
  }
  const urls = sockets.slice(0, 6).map(({ url }) => url);
  assert.deepEqual(urls, ['ws://a/', 'wss://b/ws', 'wss://c/?token=1', 'ws://a/', 'wss://b/ws', 'wss://c/?token=2']);
});

test('a function that fails is a failed attempt', async () => {
  const { events } = open([() => Promise.reject(new Error('no token')), 'ws://b/']);
  await settled();
  assert.deepEqual([events.at(-1).state, events.at(-1).reason], ['waiting', 'Error: no token']);
  await pass(500);
  assert.equal(sockets[0].url, 'ws://b/');
});

test('an error before the connection is open is a failed attempt, whether a close follows or not', async () => {
  const { client, events } = open();
  Object.assign(sockets[0], { readyState: 0 }).onerror();
  await sockets[0].ends();
  assert.deepEqual([client.state, events.length, events[0].code], ['waiting', 1, 1006]);
  await pass(500);
  Object.assign(sockets[1], { readyState: 3 }).onerror();
  assert.equal(client.state, 'connecting');
  await sockets[1].ends();
  assert.equal(client.state, 'waiting');
});

test('an invalid address is an error of the caller', () => {
  for (const address of ['ftp://a/', 'not an address', []]) assert.throws(() => connect(address, { WebSocket: FakeSocket }), TypeError);
});

test('an attempt that is not answered is given up after 10 s', async () => {
  const { events } = open();
  await pass(9_999);
  assert.equal(sockets[0].isClosed, false);
  await pass(1);
  assert.equal(sockets[0].isClosed, true);
  assert.deepEqual([events.at(-1).state, events.at(-1).reason], ['waiting', 'timeout']);
});

test('a server that says something else than a welcome is given up as well', async () => {
  const { client } = open();
  for (let time = 0; time < 9; time++) {
    await pass(1_000);
    await sockets[0].says({ type: 'hello' });
  }
  await pass(1_000);
  assert.equal(client.state, 'waiting');
});

test('what a socket does that was given up does not matter', async () => {
  const { client } = open();
  await pass(10_000);
  await sockets[0].welcomes();
  await sockets[0].ends();
  assert.equal(client.state, 'waiting');
  await pass(500);
  assert.equal(sockets.length, 2);
});

test('a server that is silent for 25 s is asked, and given up if it says nothing for 10 s', async () => {
  const { client, socket } = await opened();
  await pass(24_999);
  socket.hearsNothing();
  await pass(1);
  await socket.accepts({ type: 'ping' });
  await pass(25_000);
  socket.hears({ type: 'ping' });
  await pass(9_999);
  assert.equal(client.state, 'open');
  await pass(1);
  assert.deepEqual([client.state, socket.isClosed], ['waiting', true]);
});

test('a server that says something is not asked', async () => {
  const { socket } = await opened();
  for (let time = 0; time < 10; time++) {
    await pass(20_000);
    await socket.says({ type: 'message', room: 'elsewhere', data: 1 });
  }
  socket.hearsNothing();
});

test('after some close codes it connects again, after others it stops and says why', async () => {
  for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015]) {
    const { client } = open();
    await sockets.at(-1).ends(code);
    assert.equal(client.state, 'waiting', `after ${code}`);
    client.close();
  }
  for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 1010, 3000, 4003]) {
    const { client, events } = open();
    await sockets.at(-1).ends(code, 'banned');
    assert.deepEqual([client.state, events.at(-1).code, events.at(-1).reason], ['closed', code, 'banned']);
    const count = sockets.length;
    await pass(60_000);
    assert.equal(sockets.length, count, `connected again after ${code}`);
  }
});

test('a server of another version is left', async () => {
  const { client, events } = open();
  await sockets[0].says({ type: 'welcome', version: 2 });
  assert.deepEqual([client.state, events.at(-1).reason], ['closed', 'the server speaks version 2']);
  assert.ok(sockets[0].isClosed);
});

test('if servers are of different versions, it looks for one of its own', async () => {
  const { client } = open(['ws://a/', 'ws://b/']);
  await sockets[0].says({ type: 'welcome', version: 2 });
  assert.equal(client.state, 'waiting');
  await pass(500);
  await sockets[1].welcomes();
  assert.equal(client.state, 'open');
  for (const state of ['waiting', 'closed']) {
    await sockets.at(-1).ends();
    await pass(30_000);
    await sockets.at(-1).says({ type: 'welcome', version: 2 });
    assert.equal(client.state, state);
  }
});

test('messages of an own protocol are events, and can be sent', async () => {
  const { client, socket } = await opened();
  const messages = collect(client, 'message');
  await socket.says({ type: 'score', value: 7 }, { type: 'message', room: 'tea', data: 1 }, { own: true }, 'no JSON');
  assert.deepEqual(messages.map(({ data }) => data), [{ type: 'score', value: 7 }, { own: true }]);
  assert.equal(client.send({ type: 'play', card: 3 }), true);
  socket.hears({ type: 'play', card: 3 });
  await socket.ends();
  assert.equal(client.send({ type: 'play' }), false);
});

test('open brings the next attempt forward, and opens what was closed', async () => {
  const { client } = open();
  await sockets[0].ends();
  client.open();
  client.open(); // it connects already
  assert.equal(sockets.length, 2);
  await pass(5_000); // the attempt that it was waiting for does not come in addition
  assert.equal(sockets.length, 2);
  client.close();
  assert.equal(sockets[1].isClosed, true);
  client.open();
  await sockets[2].welcomes();
  assert.equal(client.state, 'open');
});

test('a signal closes it, in whatever state it is', async () => {
  for (const until of [() => {}, () => sockets.at(-1).welcomes(), () => sockets.at(-1).ends()]) {
    const controller = new AbortController();
    const { client } = open('ws://a/', { signal: controller.signal });
    await until();
    const count = sockets.length;
    controller.abort();
    assert.deepEqual([client.state, sockets.at(-1).isClosed], ['closed', true]);
    assert.deepEqual(getEventListeners(controller.signal, 'abort'), []);
    client.open();
    await pass(60_000);
    assert.equal(sockets.length, count);
  }
  assert.equal(open('ws://a/', { signal: AbortSignal.abort() }).client.state, 'closed');
});

test('it may be closed while an address is asked for', async () => {
  const { client } = open(async () => 'ws://a/');
  client.close();
  await settled();
  assert.deepEqual([client.state, sockets.length], ['closed', 0]);
});

test('when the network is back or the page is shown, it does not wait', async () => {
  const page = Object.assign(new EventTarget(), { visibilityState: 'hidden' });
  const network = new EventTarget();
  Object.assign(globalThis, { document: page, addEventListener: network.addEventListener.bind(network) });
  try {
    const { client } = open();
    await sockets[0].ends();
    page.dispatchEvent(new Event('visibilitychange')); // it is hidden
    assert.equal(client.state, 'waiting');
    page.visibilityState = 'visible';
    page.dispatchEvent(new Event('visibilitychange'));
    assert.equal(client.state, 'connecting');
    await sockets[1].welcomes();
    network.dispatchEvent(new Event('online')); // the connection may not have survived
    sockets[1].hears({ type: 'ping' });
    await pass(9_000);
    network.dispatchEvent(new Event('online')); // as often as that happens
    sockets[1].hearsNothing();
    await pass(1_000);
    assert.equal(client.state, 'waiting');
    client.close();
    assert.deepEqual([getEventListeners(network, 'online'), getEventListeners(page, 'visibilitychange')], [[], []]);
  } finally {
    delete globalThis.document;
    delete globalThis.addEventListener;
  }
});

test('messages that are not understood are ignored', async () => {
  const { client, events, socket } = await opened();
  await socket.says('no JSON', 'null', '7', { type: 'later', room: 'tea' }, { presence: 'later' }, { type: 'ok', id: 99 }, {});
  await socket.says({ type: 'error', code: 'malformed', message: 'expected a request' });
  assert.equal(client.state, 'open');
  assert.deepEqual(events.slice(1).map(({ error }) => [error.code, error.message]), [['malformed', 'expected a request']]);
});
