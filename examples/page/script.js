'use strict';
// What chat.html, login.html and rooms.html share: how they show the state of their connection, and the list of messages.

const $ = selector => document.querySelector(selector);
const [state, offline, why, retry, name, log, list, newer, say, message, send] =
  ['#state', '#offline', '#why', '#retry', '#name', '#log', '#log > ol', '#newer', '#say', '#message', '#send'].map($);

function recall(key, otherwise) { try { return JSON.parse(localStorage.getItem(`prism-${key}`)) ?? otherwise; } catch { return otherwise; } }
function remember(key, value) { try { localStorage.setItem(`prism-${key}`, JSON.stringify(value)); } catch { /* storage may be forbidden */ } }
name.value = recall('name', '');

// ---- the connection ---------------------------------------------------------------------------------------------------

const REFUSALS = {
  1002: 'This page and the server do not understand each other',
  1003: 'The server does not accept messages of this kind',
  1007: 'The server could not read the last message',
  1008: 'The server has refused this connection',
  1009: 'The last message was too long for the server',
  1010: 'The server lacks an extension that this page needs',
};

/** Says why a server has ended the connection if trying again cannot help: see "When to reconnect" in prism-driver/docs/close-codes.md. */
function refused({ code, reason }) {
  const what = REFUSALS[code] ?? (code === 1000 || code >= 3000 ? 'The server has closed the connection' : '');
  // These codes are chosen by the application, which writes the reason for people.
  return reason && (code === 1000 || code === 1008 || code >= 3000) ? `${what}: ${reason}` : what;
}

/** What the page knows of its connection. */
const connection = { isOpen: false, refusal: '', tries: 0, nextTry: 0 };

function write(element, text) { if (element.textContent !== text) element.textContent = text; }

/** Shows the state of the connection, and when the next try is. The first two tries come within a second: they are not worth a bar. */
function show() {
  const { isOpen, refusal, tries, nextTry } = connection;
  write(state, isOpen ? 'Connected' : refusal || (tries > 2 ? 'Offline' : tries ? 'Reconnecting' : 'Connecting')); // a screen reader reads it out
  state.classList.toggle('open', isOpen);
  send.disabled = !isOpen;
  if (isOpen && document.activeElement === retry) message.focus();
  offline.hidden = isOpen || !refusal && tries < 3;
  const left = Math.ceil((nextTry - Date.now()) / 1000);
  write(why, refusal || `Offline, next try ${left > 0 ? `in ${left} s` : 'now'}`);
  write(retry, refusal ? 'Connect again' : 'Try now');
}

// ---- the messages: all input is inserted as text, never as HTML ---------------------------------------------------------

const KEPT = 500; // lines; older ones are removed
const MAX_LEN = 4000; // characters of a message
const still = matchMedia('(prefers-reduced-motion: reduce)');
const hues = new Map();
let following = true, newCount = 0;

function element(kind, className = '', text = '') { return Object.assign(document.createElement(kind), { className, textContent: text }); }

/** A color for the key of a person. It depends on the key, and on the colors that are taken: the first six are 60 degrees apart. */
function hue(key) {
  if (!hues.has(key)) {
    const taken = new Set(hues.values());
    const first = [...key].reduce((sum, c) => (sum * 31 + c.codePointAt()) % 9973, 7);
    const choices = Array.from({ length: 12 }, (_, n) => 20 + (first + n) % 6 * 60 + (n < 6 ? 0 : 30));
    hues.set(key, choices.find(choice => !taken.has(choice)) ?? choices[0]);
  }
  return hues.get(key);
}

function face(key, called) {
  const circle = element('span', 'face', [...called][0].toUpperCase());
  circle.ariaHidden = 'true';
  circle.style.setProperty('--hue', hue(key));
  return circle;
}

/** Makes the line of a message. If the line before it is by the same person and not old, both look like one. `late` means that nobody knows when it was sent. */
function bubble(before, { key, called, who, own, text, late = false }) {
  const [item, by, author, now] = [element('li', 'said'), element('div', 'by'), element('b'), new Date()];
  Object.assign(item.dataset, { key: `${key} ${called}${late ? ' earlier' : ''}`, at: now.getTime() });
  item.classList.toggle('own', own);
  item.classList.toggle('more', before?.dataset.key === item.dataset.key && now - before.dataset.at < 180_000);
  item.style.setProperty('--hue', hue(key));
  const time = element('time', '', late ? 'earlier' : now.toLocaleTimeString([], { hour: 'numeric', minute: '2-digit' }));
  if (!late) time.dateTime = now.toISOString();
  author.append(own ? 'You' : who);
  by.append(author, time);
  const words = element('p', 'text', text);
  words.dir = 'auto';
  item.append(face(key, called), by, words);
  return item;
}

function note(...parts) { const item = element('li', 'note'); item.append(...parts); return item; }

/** Adds a line to the page, and scrolls to it unless the reader has scrolled up. */
function append(item) {
  list.append(item);
  if (!still.matches) item.animate({ opacity: [0, 1], translate: ['0 .4rem', '0 0'] }, { duration: 180, easing: 'ease-out' });
  while (list.children.length > KEPT) list.firstElementChild.remove();
  if (following || item.matches('.own')) return toEnd();
  if (item.matches('.said')) newCount++;
  newer.hidden = !newCount;
  newer.textContent = `${newCount} new ${newCount === 1 ? 'message' : 'messages'} ↓`;
}

function toEnd() { log.scrollTop = log.scrollHeight; following = newer.hidden = true; newCount = 0; }

log.addEventListener('scroll', () => {
  following = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  if (following) { newer.hidden = true; newCount = 0; }
});
new ResizeObserver(() => { if (following) toEnd(); }).observe(log);
newer.addEventListener('click', () => { toEnd(); log.focus(); });

/** Returns the message that is to be sent now, if there is one. One that is too long stays where it is, and the page says so. */
function written() {
  const text = message.value.trim();
  message.setCustomValidity(text.length > MAX_LEN ? `A message has at most ${MAX_LEN} characters. This one has ${text.length}.` : '');
  return connection.isOpen && message.reportValidity() ? text : '';
}

message.addEventListener('keydown', event => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); say.requestSubmit(); }
});
