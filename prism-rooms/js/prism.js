// A client for the rooms of a Prism server, for browsers and Node. What it sends and receives is described in
// docs/protocol.md, how to use it in docs/browser.md. Names that begin with `_` are internal.

const VERSION = 1;
const TIMEOUT = 10_000; // ms to connect, to answer, and for a message to wait
const SILENCE = 25_000; // ms without a message until the server is asked whether it is still there
const STABLE = 5_000; // ms that a connection has to last for the next one to be tried soon
const FIRST_DELAY = 1_000; // ms, at most, before the first retry; twice that before the next, and so on
const MAX_DELAY = 30_000;
const MAX_PENDING = 256; // messages without an answer

/** Close codes after which it helps to connect again. */
const TRANSIENT = [1001, 1005, 1006, 1011, 1012, 1013, 1014];

/** Why something was not done. `code` is for programs. */
export class PrismError extends Error {
  constructor(code, message) {
    super(message);
    this.name = 'PrismError';
    this.code = code;
  }
}

class Emitter extends EventTarget {
  _emit(type, fields) { this.dispatchEvent(Object.assign(new Event(type), fields)); }
}

/** Connects to one of these addresses, and stays connected until it is closed. */
export function connect(addresses, options) { return new Client(addresses, options); }

export class Client extends Emitter {
  state = 'closed';
  _rooms = new Map();
  _pending = new Map(); // requests without an answer, by their IDs
  _lastId = 0;
  _attempts = 0;
  _failures = 0; // since the last stable connection

  constructor(addresses, { signal, WebSocket } = {}) {
    super();
    this._WebSocket = WebSocket;
    this._addresses = [addresses].flat().map(address => (typeof address === 'function' ? address : absolute(address)));
    if (signal?.aborted) return;
    signal?.addEventListener('abort', () => this.close());
    this.open();
  }

  /** Connects a client that was closed. If it is waiting for its next attempt, connects now. */
  open() {
    if (this.state === 'closed') {
      this._listeners = new AbortController();
      const { signal } = this._listeners;
      const hint = () => { if (globalThis.document?.visibilityState !== 'hidden') this._hint(); };
      globalThis.addEventListener?.('online', hint, { signal });
      globalThis.document?.addEventListener('visibilitychange', hint, { signal });
    } else if (this.state !== 'waiting') return;
    this._connect();
  }

  /** Ends the connection, until `open` is called. */
  close() { this._lost(this._socket, { code: 1000, reason: '' }); }

  /** Joins a room, also after each reconnection. Returns the same room if it was joined before. */
  join(name, options) {
    let room = this._rooms.get(name);
    if (room) room._update(options);
    else {
      this._rooms.set(name, room = new Room(this, name, options));
      if (this.state === 'open') room._join();
    }
    return room;
  }

  // ---- the connection

  async _connect() {
    const attempt = this._socket = { close() {} }; // until there is a socket
    this._restartTimer(TIMEOUT, () => this._lost(this._socket, { code: 1006, reason: 'timeout' }));
    this._become('connecting');
    try {
      const address = this._addresses[this._attempts++ % this._addresses.length];
      const url = typeof address === 'function' ? absolute(await address()) : address;
      if (this._socket !== attempt) return; // closed meanwhile, or too late
      const socket = this._socket = new (this._WebSocket ?? globalThis.WebSocket)(url);
      socket.onmessage = ({ data }) => { if (this._socket === socket) this._receive(data); };
      socket.onclose = event => this._lost(socket, event);
      // A `close` follows, except in Node if the connection cannot be opened: there, its state does not even change.
      socket.onerror = () => { if (!socket.readyState) this._lost(socket, { code: 1006, reason: 'cannot connect' }); };
    } catch (error) {
      this._lost(attempt, { code: 1006, reason: String(error) });
    }
  }

  /** The server is there: something has come from it. */
  _heard() { this._restartTimer(SILENCE, () => this._probe()); }

  /** Asks the server whether it is there, and waits only so long for anything to come from it. */
  _probe() {
    this._restartTimer(TIMEOUT, () => this._lost(this._socket, { code: 1006, reason: 'timeout' }));
    this._tell({ type: 'ping', id: 0 });
  }

  /** The network is back, or someone looks at the page: waiting may be pointless, and the connection may be dead. */
  _hint() {
    if (this.state === 'waiting') this._connect();
    else if (this.state === 'open') this._probe();
  }

  /** The connection has ended, or is given up. */
  _lost(socket, { code, reason }) {
    if (socket !== this._socket || this.state === 'closed') return;
    this._socket = undefined;
    clearTimeout(this._stable);
    clearTimeout(this._timer);
    socket?.close();
    const isFinal = !TRANSIENT.includes(code);
    for (const [id, { waitsFor }] of this._pending) {
      if (!waitsFor) this._settle(id, new PrismError('lost', 'the connection was lost: this may have arrived or not'));
      else if (isFinal) this._settle(id, new PrismError('closed', 'the connection is closed'));
    }
    for (const room of this._rooms.values()) room._away();
    const delay = isFinal ? undefined : Math.random() * Math.min(MAX_DELAY, FIRST_DELAY * 2 ** this._failures++);
    if (isFinal) this._listeners.abort();
    else this._restartTimer(delay, () => this._connect());
    this._become(isFinal ? 'closed' : 'waiting', { code, reason, delay });
  }

  _become(state, how) {
    this.state = state;
    this._emit('state', { state, ...how });
  }

  _restartTimer(delay, then) {
    clearTimeout(this._timer);
    this._timer = setTimeout(then, delay);
  }

  // ---- messages

  _tell(request) { this._socket.send(JSON.stringify(request)); }

  /** Sends a request, or lets it wait until a room is joined. It is no error if nobody handles a failure. */
  _ask(request, waitsFor) {
    const answer = new Promise((resolve, reject) => {
      const id = ++this._lastId;
      const text = JSON.stringify({ ...request, id });
      const isLate = () => this._settle(id, new PrismError('timeout', 'there was no answer in time'));
      this._pending.set(id, { resolve, reject, text, waitsFor, timer: setTimeout(isLate, TIMEOUT) });
      if (!waitsFor) this._socket.send(text);
    });
    answer.catch(() => {});
    return answer;
  }

  /** Sends what has waited for a room. If there is an error, fails it instead. */
  _release(room, error) {
    for (const [id, request] of this._pending) {
      if (request.waitsFor !== room) continue;
      request.waitsFor = undefined;
      if (error) this._settle(id, error);
      else this._socket.send(request.text);
    }
  }

  _settle(id, error, answer) {
    const request = this._pending.get(id);
    if (!this._pending.delete(id)) return;
    clearTimeout(request.timer);
    if (error) request.reject(error);
    else request.resolve(answer);
  }

  _receive(data) {
    if (this.state === 'open') this._heard();
    let message;
    try { message = JSON.parse(data); } catch { return; }
    const room = this._rooms.get(message?.room);
    switch (message?.type ?? message?.presence) {
      case 'welcome': return this._welcomed(message);
      case 'ok': return this._settle(message.id, undefined, message);
      case 'error': return this._refused(message, room);
      case 'message': return room?._receive(message);
      case 'left': return room?._removed();
      case 'state':
      case 'diff': return room?._change(message);
    }
  }

  _welcomed({ version, person, connection }) {
    if (version !== VERSION) {
      return this._lost(this._socket, { code: 1002, reason: `the server speaks version ${version}` });
    }
    Object.assign(this, { person, connection });
    this._stable = setTimeout(() => { this._failures = 0; }, STABLE);
    for (const room of this._rooms.values()) room._join();
    this._heard();
    this._become('open');
  }

  _refused({ id, code, message }, room) {
    const error = new PrismError(code, message);
    if (id) this._settle(id, error);
    else (room ?? this)._emit('error', { error });
    if (code === 'not_joined') room?._removed();
  }
}

export class Room extends Emitter {
  state = 'joining';
  people = new Map();

  constructor(client, name, { meta, presence } = {}) {
    super();
    this.client = client;
    this.name = name;
    this._meta = meta;
    this._watches = presence;
  }

  /** Sends to all members. Resolves when the server has accepted the message. */
  send(data, { echo } = {}) {
    if (this.client._pending.size >= MAX_PENDING) return rejected('busy', `${MAX_PENDING} messages have no answer yet`);
    return this._ask({ type: 'send', data, echo });
  }

  /** Shows us to the others with this metadata, or no longer if it is undefined. */
  track(meta) {
    const keep = () => { this._meta = meta; };
    if (this.state === 'joining') {
      keep();
      this._joinAgain();
      return Promise.resolve();
    }
    const answer = this._ask({ type: meta === undefined ? 'untrack' : 'track', meta });
    answer.then(keep, ({ code }) => { if (code === 'lost') keep(); });
    return answer;
  }

  leave() {
    if (this.state === 'joined' || this._attempt) this.client._tell({ type: 'leave', room: this.name });
    this._end(new PrismError('left', 'you have left this room'));
  }

  // ---- joining

  _update({ meta, presence } = {}) {
    if (meta !== undefined) this.track(meta);
    if (!presence || this._watches) return;
    this._watches = true;
    if (this.state === 'joined') this._watch();
    else this._joinAgain();
  }

  /** Joins with what has changed while we wait for the answer. */
  _joinAgain() { if (this._attempt) this._join(); }

  _join() {
    const attempt = this._attempt = {}; // what comes of an earlier one does not matter any more
    const { name: room, _meta: meta, _watches: watch, position: after } = this;
    this.client._ask({ type: 'join', room, meta, watch, after }).then(
      answer => { if (attempt === this._attempt) this._joined(answer); },
      error => { if (attempt === this._attempt) this._notJoined(error); },
    );
  }

  _joined({ recovered }) {
    const missed = Boolean(this._wasJoined && !recovered);
    this._attempt = undefined;
    this._wasJoined = true;
    this.state = 'joined';
    this.client._release(this);
    this._emit('join', { missed });
  }

  _notJoined(error) {
    if (error.code === 'timeout') return this._join();
    if (error.code !== 'unavailable') return this._end(error);
    const attempt = this._attempt;
    setTimeout(() => { if (attempt === this._attempt) this._join(); }, Math.random() * MAX_DELAY);
    this._emit('error', { error });
  }

  /** The connection is lost. The next one joins again. */
  _away() {
    this._attempt = this._number = undefined;
    this.state = 'joining';
  }

  /** The server has removed us. While we wait for the answer to a join, this is about an earlier stay. */
  _removed() {
    if (this.state === 'joined') this._end(new PrismError('left', 'the server has removed you from this room'));
  }

  _end(error) {
    if (this.state === 'left') return;
    this._attempt = undefined;
    this.state = 'left';
    this.client._rooms.delete(this.name);
    this.client._release(this, error);
    this._emit('leave', { error });
  }

  _ask(request) {
    const { client, state, name: room } = this;
    if (state === 'left') return rejected('left', 'you are not in this room');
    if (client.state === 'closed') return rejected('closed', 'the connection is closed');
    return client._ask({ ...request, room }, state === 'joined' ? undefined : this);
  }

  // ---- what the server sends

  _receive({ data, from, position }) {
    this.position = position ?? this.position;
    this._emit('message', { data, from, position });
  }

  /** Asks for the whole state of presence. Until it arrives, changes mean nothing. */
  _watch() {
    this._number = undefined;
    this._ask({ type: 'watch' }).catch(error => {
      if (this.state !== 'joined') return; // the next `join` also watches
      if (error.code === 'timeout') this._watch();
      else this._emit('error', { error });
    });
  }

  _change({ presence, number, people, joined, updated, left }) {
    if (presence === 'state') {
      const before = this.people;
      this.people = byKey(people);
      joined = people.filter(({ key }) => !before.has(key));
      const isOther = person => JSON.stringify(before.get(person.key)) !== JSON.stringify(person);
      updated = people.filter(person => before.has(person.key) && isOther(person));
      left = [...before.keys()].filter(key => !this.people.has(key));
    } else if (this._number === undefined) return;
    else if (number !== this._number + 1) return this._watch();
    else {
      for (const person of [...joined, ...updated]) this.people.set(person.key, person);
      for (const key of left) this.people.delete(key);
    }
    this._number = number;
    this._emit('presence', { people: this.people, joined, updated, left, isState: presence === 'state' });
  }
}

/** A promise that fails. It is no error if nobody handles that. */
function rejected(code, message) {
  const answer = Promise.reject(new PrismError(code, message));
  answer.catch(() => {});
  return answer;
}

function byKey(people) { return new Map(people.map(person => [person.key, person])); }

/** Makes an address absolute, and one for WebSockets. */
function absolute(address) {
  const url = new URL(address, globalThis.location?.href);
  url.protocol = url.protocol.replace('http', 'ws');
  if (!/^wss?:$/.test(url.protocol)) throw new TypeError(`expected ws:, wss:, http: or https:, got ${address}`);
  return url.href;
}
