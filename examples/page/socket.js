'use strict';
// The connection of chat.html and login.html. (rooms.html has that of prism.js.)
// The script of a page has the functions `opened`, `received` and `lost`, and sends the messages.

let socket, openedAt = 0, ticking;

function connect() {
  clearInterval(ticking);
  connection.nextTry = 0;
  show();
  socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
  socket.onopen = () => {
    openedAt = Date.now();
    Object.assign(connection, { isOpen: true, refusal: '' });
    show();
    opened();
  };
  socket.onmessage = ({ data }) => received(data);
  socket.onclose = event => {
    const refusal = refused(event);
    // Only a connection that lasted resets the back-off. Jitter keeps clients from reconnecting all at once.
    if (openedAt && Date.now() - openedAt > 5000) connection.tries = 0;
    const nextTry = Date.now() + Math.min(15000, 500 * 2 ** connection.tries++) * (0.5 + Math.random() / 2);
    Object.assign(connection, { isOpen: false, refusal, nextTry });
    if (openedAt) lost(refusal ? 'The server closed the connection' : 'The connection was lost', event);
    openedAt = 0;
    if (!refusal) ticking = setInterval(tick, 100);
    show();
  };
}

function tick() { if (Date.now() < connection.nextTry) show(); else connect(); }

function tryNow() { if (socket.readyState === WebSocket.CLOSED) connect(); }

retry.addEventListener('click', tryNow);
addEventListener('online', () => { if (!connection.refusal) tryNow(); });
