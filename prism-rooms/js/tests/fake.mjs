// A server that a test plays by hand, and time that passes when the test says so.

import assert from 'node:assert/strict';
import { mock } from 'node:test';

import { connect } from '../prism.js';

/** The sockets that the client under test has opened, in their order. */
export let sockets = [];

export class FakeSocket {
  requests = []; // those that the test has not looked at
  isClosed = false;

  constructor(url) {
    this.url = url;
    sockets.push(this);
  }

  send(text) { this.requests.push(JSON.parse(text)); }
  close() { this.isClosed = true; }

  // ---- what the server does

  async says(...messages) {
    for (const message of messages) this.onmessage({ data: typeof message === 'string' ? message : JSON.stringify(message) });
    await settled();
  }

  welcomes(fields) { return this.says({ type: 'welcome', version: 1, connection: 'c1', person: 'ada', ...fields }); }

  async ends(code = 1006, reason = '') {
    this.isClosed = true;
    this.onclose({ code, reason });
    await settled();
  }

  /** Returns the next request, and asserts that it has these fields. */
  hears(expected) {
    const request = this.requests.shift();
    assert.ok(request, `there is no request, expected ${JSON.stringify(expected)}`);
    assert.deepEqual({ ...request, ...expected }, request);
    return request;
  }

  /** The same, and answers. */
  async accepts(expected, answer = {}) { await this.says({ type: 'ok', id: this.hears(expected).id, ...answer }); }

  async refuses(expected, code, message = 'because') {
    const { id, room } = this.hears(expected);
    await this.says({ type: 'error', id, room, code, message });
  }

  hearsNothing() { assert.deepEqual(this.requests, []); }
}

/** Takes over the time and the chance of this process: delays are half of their maximum. */
export function takeOver() {
  sockets = [];
  mock.timers.enable({ apis: ['setTimeout'] });
  mock.method(Math, 'random', () => 0.5);
}

export function giveBack() {
  mock.timers.reset();
  mock.restoreAll();
}

/** Lets time pass, and all that follows from it. */
export async function pass(ms) {
  mock.timers.tick(ms);
  await settled();
}

/** Waits until all promises that can settle have settled. */
export const settled = () => new Promise(setImmediate);

/** Connects, and collects the events of the client. */
export function open(addresses = 'ws://a/', options = {}) {
  const client = connect(addresses, { WebSocket: FakeSocket, ...options });
  return { client, events: collect(client, 'state', 'error') };
}

/** Connects, and is welcomed. */
export async function opened(...parameters) {
  const { client, events } = open(...parameters);
  await sockets[0].welcomes();
  return { client, events, socket: sockets[0] };
}

/** Connects, joins a room, and collects its events. */
export async function joined(name = 'tea', options = undefined) {
  const { client, socket } = await opened();
  const room = client.join(name, options);
  const events = collect(room, 'join', 'leave', 'message', 'error');
  await socket.accepts({ type: 'join', room: name });
  return { client, socket, room, events };
}

/** Loses the connection, and gets another. */
export async function reconnected(welcome = {}) {
  const count = sockets.length;
  await sockets.at(-1).ends();
  await pass(30_000);
  assert.equal(sockets.length, count + 1);
  await sockets.at(-1).welcomes(welcome);
  return sockets.at(-1);
}

/** Collects the events of a client or a room. */
export function collect(target, ...types) {
  const events = [];
  for (const type of types) target.addEventListener(type, event => events.push(event));
  return events;
}

/** Asserts that a promise fails with this code. */
export const failsWith = (promise, code) => assert.rejects(promise, { name: 'PrismError', code });
