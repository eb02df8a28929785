// A client of the example `rooms` without the page: prism.js in Node.

import ws from 'ws';
import { connect } from '../../prism-rooms/js/prism.js';

const { WebSocket = ws } = globalThis; // Node has it since version 22

let lastKey = 0;

/** Connects to one or several addresses, as a person with this name. Another connection with the same key is the same person. */
export function visitor(addresses, name, key = `visitor${++lastKey}`) {
  const client = connect([addresses].flat().map(address => `ws://${address}/ws?person=${key}`), { WebSocket });
  return {
    client,
    key,
    join: room => client.join(room, { meta: { name, typing: false }, presence: true }),
    /** Joins a room, and returns it when the others can see the visitor there. */
    async enters(called) {
      const room = this.join(called);
      if (!room.people.has(key)) await next(room, 'presence', () => room.people.has(key));
      return room;
    },
    says: (room, text) => room.send({ name, text }),
    leaves: () => client.close(),
  };
}

/** Waits for an event that satisfies a condition. */
export function next(target, type, isRight = () => true) {
  return new Promise(resolve => {
    target.addEventListener(type, function listener(event) {
      if (!isRight(event)) return;
      target.removeEventListener(type, listener);
      resolve(event);
    });
  });
}
