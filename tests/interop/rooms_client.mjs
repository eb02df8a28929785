import WebSocket from 'ws';

/** A client of the example `rooms` without the page. `says` sends commands, and resolves with the first answer that has the given field. */
export function bareClient(address) {
  const socket = new WebSocket(`ws://${address}/ws`);
  const waiting = [];
  socket.onmessage = ({ data }) => {
    const line = JSON.parse(data);
    const at = waiting.findIndex(({ field }) => field in line);
    if (at >= 0) waiting.splice(at, 1)[0].resolve(line);
  };
  const says = (field, ...orders) => new Promise(resolve => {
    waiting.push({ field, resolve });
    for (const order of orders) socket.send(order);
  });
  const opened = new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = () => reject(new Error('no connection')); });
  const closed = new Promise(resolve => { socket.onclose = ({ code }) => resolve(code); });
  return { opened, says, closed, leaves: () => socket.close() };
}

/** Waits until the server allows the next list. */
export const listInterval = () => new Promise(resolve => setTimeout(resolve, 60));
