// A client for the rooms of a Prism server, for browsers and Node. What it sends and receives is described in
// docs/protocol.md, how to use it in docs/browser.md. Names that begin with `_` are internal.

const VERSION = 1;
const TIMEOUT = 10_000; // ms to connect, to answer a message or a probe, and for a message to wait
const SILENCE = 25_000; // ms without a message until the server is asked whether it is still there
const STABLE = 5_000; // ms that a connection has to last for the next one to be tried soon
const FIRST_DELAY = 1_000; // ms, at most, before the first retry; twice that before the next, and so on
const MAX_DELAY = 30_000;
const MAX_PENDING = 256; // requests without an answer
const MAX_JOINS = 16; // joins without an answer

/** Close codes after which it helps to connect again. */
const TRANSIENT = [1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015];

/** Codes of errors that may go away. */
const TEMPORARY = ['unavailable', 'full'];

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
  _joins = 0; // without an answer
  _attempts = 0;
  _mismatches = 0; // servers of another version, since the last of ours
  _failures = 0; // since the last stable connection
  _connections = new Set(); // IDs, also of those before: what they sent may be repeated

  constructor(addresses, { signal, WebSocket } = {}) {
    super();
    this._WebSocket = WebSocket;
    this._signal = signal;
    this._addresses = [addresses].flat().map(address => (typeof address === 'function' ? address : absolute(address)));
    if (!this._addresses.length) throw new TypeError('expected at least one address');
    this.open();
  }

  /** Connects a client that was closed. If it is waiting for its next attempt, connects now. */
  open() {
    if (this._signal?.aborted) return;
    if (this.state === 'closed') {
      this._listeners = new AbortController();
      const { signal } = this._listeners;
      this._signal?.addEventListener('abort', () => this.close(), { signal });
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
      this._joinMore();
    }
    return room;
  }

  /** Sends a message of the application's own. Returns whether there is a connection. */
  send(data) {
    const isOpen = this.state === 'open';
    if (isOpen) this._tell(data);
    return isOpen;
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
  _heard() {
    this._isProbing = false;
    this._restartTimer(SILENCE, () => this._probe());
  }

  /** Asks the server whether it is there, and waits only so long for anything to come from it. */
  _probe() {
    if (this._isProbing) return;
    this._isProbing = true;
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
    this._joins = 0;
    for (const room of this._rooms.values()) room._away();
    for (const [id, { waitsFor }] of this._pending) {
      if (!waitsFor) this._settle(id, new PrismError('lost', 'the connection was lost: this may have arrived or not'));
      else if (isFinal) this._settle(id, closed());
    }
    if (isFinal) for (const room of this._rooms.values()) room._settleTracks(closed());
    const delay = isFinal ? undefined : backoff(this._failures++);
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

  /** Sends a request. `done` is called with its error or its answer, before any later message is handled. */
  _ask(request, done) {
    const id = ++this._lastId;
    this._pending.set(id, { done });
    this._tell({ ...request, id });
  }

  /** Sends a message when its room is joined. It is no error if nobody handles a failure. */
  _post(room, request) {
    const answer = new Promise((resolve, reject) => {
      const id = ++this._lastId;
      const text = JSON.stringify({ ...request, id });
      const isLate = () => this._settle(id, this._pending.get(id).waitsFor
        ? new PrismError('unsent', 'the room was not joined in time')
        : new PrismError('timeout', 'there was no answer in time'));
      const timer = setTimeout(isLate, TIMEOUT);
      const done = (error, message) => {
        clearTimeout(timer);
        if (error) reject(error);
        else resolve(message);
      };
      this._pending.set(id, { done, text, data: request.data, waitsFor: room });
      if (room.state === 'joined') this._release(room);
    });
    answer.catch(() => {});
    return answer;
  }

  /** Sends what waits for a room. If there is an error, fails it instead. */
  _release(room, error) {
    for (const [id, request] of this._pending) {
      if (request.waitsFor !== room) continue;
      request.waitsFor = undefined;
      const failure = error ?? this._tooLong(request);
      if (failure) this._settle(id, failure);
      else this._socket.send(request.text);
    }
  }

  /** Returns an error if a message is longer than the server accepts: it could close the connection. */
  _tooLong({ text, data }) {
    const limit = this._maxDataSize;
    if (!(text.length * 3 > limit)) return undefined; // as most are: a character has at most three bytes
    const size = new TextEncoder().encode(JSON.stringify(data)).length;
    return size > limit ? new PrismError('limit', `the data is ${size} bytes of JSON, expected at most ${limit}`) : undefined;
  }

  /** Asks to join the rooms that wait for it. Many at once would delay the answers to everything else. */
  _joinMore() {
    if (this.state !== 'open') return;
    for (const room of this._rooms.values()) {
      if (this._joins >= MAX_JOINS) return;
      if (room.state === 'joining' && !room._isAsked && !room._retry) {
        this._joins++;
        room._join();
      }
    }
  }

  _settle(id, error, answer) {
    const request = this._pending.get(id);
    if (this._pending.delete(id)) request.done(error, answer);
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
      case 'missed': return room?._warned(message);
      case 'left': return room?._removed();
      case 'state':
      case 'diff': return room?._change(message);
      default: this._emit('message', { data: message });
    }
  }

  _welcomed({ version, person, connection, max_data_size: maxDataSize }) {
    if (version !== VERSION) {
      const isLast = ++this._mismatches >= this._addresses.length; // the others may be of another version
      return this._lost(this._socket, { code: isLast ? 1002 : 1012, reason: `the server speaks version ${version}` });
    }
    this._mismatches = 0;
    Object.assign(this, { person, connection, _maxDataSize: maxDataSize });
    this._connections.add(connection);
    this._stable = setTimeout(() => { this._failures = 0; }, STABLE);
    this._heard();
    this.state = 'open';
    this._joinMore();
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
  _tracks = []; // metadata that wait for the room, with the promises of those who wait for them
  _number; // of the last change in presence: undefined before the state, NaN after a gap
  _gaps = 0; // in presence, since the last change that followed the one before

  constructor(client, name, { meta, presence, after, recent } = {}) {
    super();
    this.client = client;
    this.name = name;
    this.position = after;
    this._meta = meta;
    this._watches = presence;
    this._recent = recent;
  }

  /** Sends to all members. Resolves when the server has accepted the message. */
  send(data, { echo } = {}) {
    return this._unable() ?? this.client._post(this, { type: 'send', room: this.name, data, echo });
  }

  /** Shows us to the others with this metadata, or no longer if it is undefined. */
  track(meta) {
    const failure = this._unable();
    if (failure) return failure;
    if (meta === undefined) this._meta = meta; // the next join does not show us even for a moment
    let track = this._tracks.at(-1);
    if (track && !track.isSettled) track.meta = meta;
    else {
      this._tracks.push(track = { meta });
      track.answer = new Promise((resolve, reject) => { track.done = (error, answer) => (error ? reject(error) : resolve(answer)); });
      track.answer.catch(() => {});
      if (this.state === 'joined') this._sendTracks();
    }
    return track.answer;
  }

  leave() {
    if (this.state === 'joined' || this._isAsked) this._tell('leave');
    this._end(new PrismError('left', 'you have left this room'));
  }

  // ---- joining

  _update({ meta, presence } = {}) {
    if (meta !== undefined) this.track(meta);
    if (!presence || this._watches) return;
    this._watches = true;
    if (this.state === 'joined') this._watch();
  }

  /** Asks to join, once: to repeat that would only make the server slower. */
  _join() {
    const { client, name: room, _meta: meta, _watches: watch, position: after, _recent: recent } = this;
    this._isAsked = true;
    client._ask({ type: 'join', room, meta, watch, after, recent }, (error, answer) => {
      if (error?.code === 'lost') return;
      this._isAsked = false;
      client._joins--;
      if (this.state !== 'joining') { /* it was left meanwhile */ }
      else if (error) this._notJoined(error);
      else this._joined(answer, watch, after);
      client._joinMore();
    });
  }

  _joined({ recovered, position, reason }, isWatching, after) {
    const hasGap = this._hasGap;
    const missed = Boolean((this._wasJoined || after || recovered === false) && !recovered || hasGap);
    this._wasJoined = true;
    this._hasGap = false;
    // What has come before the answer may be newer than that.
    if (this.position === after || !(distance(position, this.position) >= 0)) this.position = position ?? this.position;
    this.state = 'joined';
    if (this._watches && !isWatching) this._watch();
    else this._repairGap();
    this._sendTracks();
    this.client._release(this);
    this._emit('join', { missed });
    if (missed) this._miss(reason ?? (hasGap ? 'lost' : 'not_kept'));
  }

  _notJoined(error) {
    if (TEMPORARY.includes(error.code)) {
      const retry = () => {
        this._retry = undefined;
        this.client._joinMore();
      };
      this._retry = setTimeout(retry, Math.random() * MAX_DELAY);
      this._emit('error', { error });
    } else {
      this._tell('leave'); // in case that the server thinks otherwise
      this._end(error);
    }
  }

  /** The connection is lost. The next one joins again. */
  _away() {
    this._isAsked = this._number = undefined;
    this._stopTimers();
    this.state = 'joining';
  }

  /** The server has removed us. While we wait for the answer to a join, this is about an earlier stay. */
  _removed() {
    if (this.state === 'joined') this._end(new PrismError('left', 'the server has removed you from this room'));
  }

  _end(error) {
    if (this.state === 'left') return;
    this._stopTimers();
    this.state = 'left';
    this.client._rooms.delete(this.name);
    this._settleTracks(error);
    this.client._release(this, error);
    this._emit('leave', { error });
  }

  _stopTimers() {
    clearTimeout(this._retry);
    clearTimeout(this._repair);
    this._retry = this._repair = undefined;
  }

  /** Returns a promise that fails, if nothing can be sent. */
  _unable() {
    if (this.state === 'left') return rejected(new PrismError('left', 'you are not in this room'));
    if (this.client.state === 'closed') return rejected(closed());
    if (this.client._pending.size < MAX_PENDING) return undefined;
    return rejected(new PrismError('busy', `${MAX_PENDING} requests have no answer yet`));
  }

  _tell(type) { this.client._tell({ type, room: this.name }); }

  // ---- what the others see of us

  /** Sends the metadata that were wanted last. They are sent again if the connection is lost: that does no harm. */
  _sendTracks() {
    const tracks = this._tracks.splice(0);
    if (!tracks.length) return;
    const { meta } = tracks.at(-1);
    this.client._ask({ type: meta === undefined ? 'untrack' : 'track', room: this.name, meta }, (error, answer) => {
      if (error?.code === 'lost' && this.state !== 'left') return this._tracks.push(...tracks);
      if (!error) this._meta = meta;
      for (const { done } of tracks) done(error, answer);
    });
  }

  /** Fails the promises of those who wait. The metadata stay for the next join. */
  _settleTracks(error) {
    for (const track of this._tracks) {
      track.isSettled = true;
      track.done(error);
    }
  }

  // ---- what the server sends

  /** Messages that are kept come once each, in the order of their positions. */
  _receive({ data, from, position, except }) {
    if (position) {
      const step = distance(this.position, position);
      if (step <= 0) return; // we have it already
      if (this.position && step !== 1) this._miss('lost');
      this.position = position;
    }
    if (!this.client._connections.has(except)) this._emit('message', { data, from, position });
  }

  /** The server has lost messages. Those after the position follow. */
  _warned({ position, reason }) {
    this.position = position;
    this._miss(reason);
  }

  /** Messages may be missing. While we join, the answer will tell more. */
  _miss(reason) {
    if (this.state === 'joined') this._emit('missed', { reason });
    else this._hasGap = true;
  }

  /** Asks for the whole state of presence. Until it arrives, changes mean nothing. */
  _watch() {
    this._isWatching = true;
    this._number = undefined;
    this.client._ask({ type: 'watch', room: this.name }, error => {
      this._isWatching = false;
      if (!error) return this._repairGap();
      if (this.state !== 'joined') return; // the next `join` also watches
      if (TEMPORARY.includes(error.code)) this._watchAfter(Math.random() * MAX_DELAY);
      this._emit('error', { error });
    });
  }

  _watchAfter(delay) {
    const repair = () => {
      this._repair = undefined;
      this._watch();
    };
    this._repair = setTimeout(repair, delay);
  }

  /** Asks for the state if a change was missed after the last one, while an answer was on its way. */
  _repairGap() { if (Number.isNaN(this._number)) this._missed(); }

  /** A change was missed. If that happens again and again, we ask less and less often for the state. */
  _missed() {
    if (this._number !== undefined) this._number = NaN; // otherwise, the state is yet to come
    if (this.state !== 'joined' || this._isWatching || this._repair) return;
    if (this._gaps++) this._watchAfter(backoff(this._gaps));
    else this._watch();
  }

  _change({ presence, number, people, joined, updated, left }) {
    if (!this._watches) return; // it is from an earlier stay
    if (presence === 'state') {
      const before = this.people;
      this.people = byKey(people);
      joined = people.filter(({ key }) => !before.has(key));
      const isOther = person => JSON.stringify(before.get(person.key)) !== JSON.stringify(person);
      updated = people.filter(person => before.has(person.key) && isOther(person));
      left = [...before.keys()].filter(key => !this.people.has(key));
    } else if (number !== this._number + 1) return this._missed();
    else {
      this._gaps = 0;
      for (const person of [...joined, ...updated]) this.people.set(person.key, person);
      for (const key of left) this.people.delete(key);
    }
    this._number = number;
    this._emit('presence', { people: this.people, joined, updated, left, isState: presence === 'state' });
  }
}

/** A promise that fails. It is no error if nobody handles that. */
function rejected(error) {
  const answer = Promise.reject(error);
  answer.catch(() => {});
  return answer;
}

const closed = () => new PrismError('closed', 'the connection is closed');

/** Returns a random delay, whose bound doubles with each failure. */
const backoff = failures => Math.random() * Math.min(MAX_DELAY, FIRST_DELAY * 2 ** failures);

/** Returns how far one position is behind another: NaN if nobody can know. */
function distance(position, other) {
  const [[epoch, offset], [otherEpoch, otherOffset]] = [position, other].map(text => String(text).split('-'));
  return epoch === otherEpoch ? otherOffset - offset : NaN;
}

function byKey(people) { return new Map(people.map(person => [person.key, person])); }

/** Makes an address absolute, and one for WebSockets. */
function absolute(address) {
  const url = new URL(address, globalThis.location?.href);
  url.protocol = url.protocol.replace('http', 'ws');
  if (!/^wss?:$/.test(url.protocol)) throw new TypeError(`expected ws:, wss:, http: or https:, got ${address}`);
  return url.href;
}
