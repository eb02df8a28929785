/** Why something was not done. */
export class PrismError extends Error {
  /**
   * A code of the protocol (`malformed`, `unknown`, `refused`, `unavailable`, `unconfirmed`, `limit`, `full`,
   * `not_joined`), or one of this client:
   * - `timeout`: there was no answer within 10 s. The message may have been sent to the others or not.
   * - `unsent`: the room was not joined within 10 s, so the message was not sent.
   * - `lost`: the connection was lost before there was an answer. The request may have been executed or not.
   * - `left`: you are not in the room, or no longer.
   * - `closed`: the connection was closed for good.
   * - `busy`: too many requests have no answer yet.
   */
  readonly code: ErrorCode;
}

/** Later versions may have more. */
export type ErrorCode =
  | 'malformed' | 'unknown' | 'refused' | 'unavailable' | 'unconfirmed' | 'limit' | 'full' | 'not_joined'
  | 'timeout' | 'unsent' | 'lost' | 'left' | 'closed' | 'busy'
  | (string & {});

/**
 * An address with `ws:`, `wss:`, `http:` or `https:`, which may be relative to the page; or a function that is asked
 * for one at each attempt.
 */
export type Address = string | (() => string | Promise<string>);

export interface ConnectOptions {
  /** Closes the client when it is aborted. */
  signal?: AbortSignal;
  /** The class of the socket. By default, the global `WebSocket`. */
  WebSocket?: new (url: string) => unknown;
}

/**
 * Connects to one of the addresses, at first to the first, and at each further attempt to the next: to spread clients
 * over several servers, shuffle the list. Connects again until it is closed. Throws a `TypeError` if an address is invalid,
 * or if there is none.
 */
export function connect(addresses: Address | readonly Address[], options?: ConnectOptions): Client;

type ListenerOptions = boolean | AddEventListenerOptions;

export type ClientState = 'connecting' | 'open' | 'waiting' | 'closed';

export interface StateEvent extends Event {
  readonly state: ClientState;
  /** The code with which a connection ended, or 1006. Only of `waiting` and `closed`. */
  readonly code?: number;
  /** The reason that the server gave, or what went wrong. */
  readonly reason?: string;
  /** The time until the next attempt, in milliseconds. Only of `waiting`. */
  readonly delay?: number;
}

export interface PrismErrorEvent extends Event {
  readonly error: PrismError;
}

/** A connection to a server, and its rooms. */
export class Client extends EventTarget {
  private constructor();
  readonly state: ClientState;
  /** The key of the person that the others see. Known once the state is `open`. */
  readonly person?: string;
  /** The ID of the present connection. */
  readonly connection?: string;
  /**
   * Joins a room, and joins it again after each reconnection. If it was joined before, returns the same room, and
   * changes its metadata if there are any.
   */
  join<Data = any, Meta = any>(name: string, options?: JoinOptions<Meta>): Room<Data, Meta>;
  /**
   * Sends a message of your own protocol, which your handler understands. Returns whether there is a connection; if not,
   * it is not sent.
   */
  send(data: object): boolean;
  /** Connects if the client was closed, and joins its rooms again. If it waits for its next attempt, connects now. */
  open(): void;
  /** Ends the connection. The rooms are joined again if `open` is called. */
  close(): void;
  addEventListener<K extends keyof ClientEvents>(
    type: K, listener: (this: Client, event: ClientEvents[K]) => void, options?: ListenerOptions): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: ListenerOptions): void;
  removeEventListener<K extends keyof ClientEvents>(
    type: K, listener: (this: Client, event: ClientEvents[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

export interface ClientEvents {
  /** The state has changed. */
  state: StateEvent;
  /** The server did not understand a message. */
  error: PrismErrorEvent;
  /** A message of your own protocol: one whose `type` this client does not know. */
  message: OwnMessageEvent;
}

export interface OwnMessageEvent extends Event {
  readonly data: any;
}

export interface JoinOptions<Meta> {
  /** Metadata with which the others see us. Without it, they do not. */
  meta?: Meta;
  /** Whether to see who is in the room. */
  presence?: boolean;
  /**
   * A position that was stored, of a room that keeps its messages: those after it are repeated. Ignored if the room was
   * joined before.
   */
  after?: string;
  /**
   * How many of the room's last messages to get, at most, when it is joined without a position: 0 for none. By default, as
   * many as the server allows. They come as `message` events while the state is still `joining`.
   */
  recent?: number;
}

export interface Person<Meta> {
  readonly key: string;
  readonly connections: readonly { readonly id: string; readonly meta: Meta }[];
}

export interface RoomMessageEvent<Data> extends Event {
  readonly data: Data;
  /** The key of the person who sent it. Undefined if the server did. */
  readonly from?: string;
  /** Where it is in the history of the room, if that keeps its messages. */
  readonly position?: string;
}

export interface Sent {
  /** Where the message is in the history of the room, if that keeps its messages. */
  readonly position?: string;
}

export interface PresenceEvent<Meta> extends Event {
  /** All who are in the room, by their keys: the same as `room.people`. */
  readonly people: ReadonlyMap<string, Person<Meta>>;
  /** What has changed since the last event. */
  readonly joined: readonly Person<Meta>[];
  readonly updated: readonly Person<Meta>[];
  readonly left: readonly string[];
  /** Whether this is the whole state, after a join or because changes were missed. */
  readonly isState: boolean;
}

export interface JoinEvent extends Event {
  /** Whether messages may be missing before the next one. If so, a `missed` event follows. */
  readonly missed: boolean;
}

export interface MissedEvent extends Event {
  /**
   * - `too_old`: more messages have been sent since than are kept.
   * - `unknown`: the server does not have the history in which we were: it has been deleted since, or lost.
   * - `not_kept`: the server does not keep the messages of this room.
   * - `lost`: messages were lost that should have been kept.
   */
  readonly reason: 'too_old' | 'unknown' | 'not_kept' | 'lost' | (string & {});
}

export interface RoomEvents<Data, Meta> {
  message: RoomMessageEvent<Data>;
  presence: PresenceEvent<Meta>;
  /** The room was joined, for the first time or again. Its last messages, or those that were missed, have come before. */
  join: JoinEvent;
  /** Messages before the next one may be missing, and will not come. */
  missed: MissedEvent;
  /** We are not in the room any more, and will not join again: `error` says why. */
  leave: PrismErrorEvent;
  /** A join is tried again later, or presence cannot be seen. */
  error: PrismErrorEvent;
}

export class Room<Data = any, Meta = any> extends EventTarget {
  private constructor();
  readonly client: Client;
  readonly name: string;
  readonly state: 'joining' | 'joined' | 'left';
  /** The people last known to be in the room, by their keys. Empty unless `presence` was asked for. */
  readonly people: ReadonlyMap<string, Person<Meta>>;
  /** The position up to which we have everything, if the room keeps its messages. It may be stored, for `join`. */
  readonly position?: string;
  /**
   * Sends to all members; with `echo: false`, to all others. Waits until the room is joined, for at most 10 s. Resolves
   * when the server has accepted the message, and has kept it if the room does; rejects with a `PrismError` otherwise.
   */
  send(data: Data, options?: { echo?: boolean }): Promise<Sent>;
  /**
   * Shows us to the others with this metadata, or no longer if it is undefined. Waits until the room is joined, without
   * a time limit, and is done again after a reconnection; only the last metadata that wait are sent. Resolves when the
   * server has accepted them.
   */
  track(meta: Meta | undefined): Promise<unknown>;
  /** Leaves the room. Messages that wait for it are rejected. */
  leave(): void;
  addEventListener<K extends keyof RoomEvents<Data, Meta>>(
    type: K, listener: (this: this, event: RoomEvents<Data, Meta>[K]) => void, options?: ListenerOptions): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: ListenerOptions): void;
  removeEventListener<K extends keyof RoomEvents<Data, Meta>>(
    type: K, listener: (this: this, event: RoomEvents<Data, Meta>[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}
