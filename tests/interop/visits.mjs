// What a page does with a WebSocket: these functions run in the browser.

/** Sends a payload, and returns whether it was echoed and how the connection closed. */
export async function visit({ url, kind, stay }) {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  const event = name => new Promise((resolve, reject) => {
    socket.addEventListener(name, resolve, { once: true });
    socket.addEventListener('close', e => reject(new Error(`closed with ${e.code} while waiting for ${name}`)), { once: true });
  });
  await event('open');
  await new Promise(resolve => setTimeout(resolve, stay));
  const bytes = Uint8Array.from({ length: 1 << 20 }, (_, n) => n * 7 + (n >> 8));
  const payload = { text: 'abcdéfgh世👋'.repeat(1 << 16), emoji: '👋🏽 👩‍👩‍👧 🏳️‍🌈', binary: bytes }[kind];
  socket.send(payload);
  const { data } = await event('message');
  const same = kind === 'binary'
    ? data instanceof ArrayBuffer && data.byteLength === bytes.length && new Uint8Array(data).every((byte, n) => byte === bytes[n])
    : data === payload;
  const closed = new Promise(resolve => socket.addEventListener('close', resolve, { once: true }));
  socket.close(4001, 'bye');
  const { code, reason, wasClean } = await closed;
  return { same, code, reason, wasClean, extensions: socket.extensions };
}

/** Sends many similar messages, some of them long, and returns the numbers of those that were not echoed. */
export async function sendRecords(url) {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
  const records = Array.from({ length: 500 }, (_, n) => JSON.stringify({ id: n, type: 'position', x: n * n % 997 }).repeat(n % 50 ? 1 : 1000));
  const echoes = [];
  const all = new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => { if (echoes.push(data) === records.length) resolve(); };
    socket.onclose = e => reject(new Error(`closed with ${e.code}`));
  });
  for (const record of records) socket.send(record);
  await all;
  socket.close();
  return records.flatMap((record, n) => (record === echoes[n] ? [] : [n]));
}
