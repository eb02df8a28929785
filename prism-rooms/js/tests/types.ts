// What the types of the client allow, and what they refuse: compiled, but not run.

import { Client, PrismError, connect } from '../prism.js';

interface Text { text: string }
interface Status { name: string; typing: boolean }

const client: Client = connect(['/ws', async () => `wss://b/?token=${await Promise.resolve(1)}`], { signal: new AbortController().signal });
client.addEventListener('state', ({ state, delay }) => { if (state === 'waiting') setTimeout(() => client.open(), delay); }, { once: true });

const room = client.join<Text, Status>('tea', { meta: { name: 'Ada', typing: false }, presence: true });
room.addEventListener('message', ({ data, from }) => { console.log(from?.length, data.text.length); });
room.addEventListener('presence', ({ people, joined, left }) => {
  for (const { key, connections } of people.values()) console.log(key, connections.some(({ meta }) => meta.typing));
  console.log(joined.map(({ key }) => key).concat(left));
});
room.addEventListener('leave', ({ error }) => { const code: string = error.code; console.log(code); });
room.addEventListener('missed', ({ reason }) => { const why: string = reason; console.log(why, room.position?.length); });
room.addEventListener('join', ({ missed }) => { const is: boolean = missed; console.log(is); });
room.track({ name: 'Ada', typing: true });
room.track(undefined);
room.send({ text: 'hi' }).then(({ position }) => { if (position) client.join('tea', { after: position }); });
client.join('milk', { recent: 20 });
room.send({ text: 'hi' }, { echo: false }).catch(error => { if (error instanceof PrismError) console.log(error.message); });

client.addEventListener('message', ({ data }) => { console.log(data.score); });
if (!client.send({ type: 'play', card: 3 })) console.log('offline');

const tell = ({ state }: { state: string }) => console.log(state);
client.addEventListener('state', tell);
client.removeEventListener('state', tell);
const addresses: readonly string[] = ['/a', '/b'];
connect(addresses);

// @ts-expect-error: an address
connect(7);
// @ts-expect-error: the data of this room
room.send('hi');
// @ts-expect-error: the metadata of this room
room.track({ name: 'Ada' });
// @ts-expect-error: read only
room.state = 'joined';
// @ts-expect-error: a position is text
client.join('tea', { after: 7 });
// @ts-expect-error: a number of messages is a number
client.join('tea', { recent: '20' });
// @ts-expect-error: there is no such state
if (client.state === 'offline') client.close();
// @ts-expect-error: a room is joined, not made
new Client('/ws');
