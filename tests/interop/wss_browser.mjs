// Tests `wss://` in a real browser.
//
// node wss_browser.mjs localhost:PORT HASH
//
// The server echoes. HASH is that of the public key of its certificate, in base64 (SHA-256), which the browser is told to trust.
// The browser is $CHROMIUM, or Debian's Chromium.

import { assert, check, fail, finish, within } from './checks.mjs';
import { launch } from './chromium.mjs';
import { visit } from './visits.mjs';

const [, , server, hash] = process.argv;
if (!hash) {
  console.error('usage: node wss_browser.mjs localhost:PORT HASH');
  process.exit(2);
}
const versions = ['1.2', '1.3'];
const kinds = ['text', 'binary', 'emoji'];
const expected = versions.flatMap(version => ['the version', ...kinds].map(what => `TLS ${version}: ${what}`)).concat('a stranger');

async function trusting(version) {
  const browser = await launch(`--ignore-certificate-errors-spki-list=${hash}`, `--ssl-version-max=tls${version}`);
  try {
    const page = await browser.newPage();
    await check(`TLS ${version}: the version`, async () => {
      const response = await page.goto(`https://${server}/`);
      assert(response.status() === 426, `a page is answered with ${response.status()}`);
      const { protocol } = await response.securityDetails();
      assert(protocol === `TLS ${version}`, `it is ${protocol}`);
    });
    for (const kind of kinds) {
      await check(`TLS ${version}: ${kind}`, async () => {
        const { same, code, reason, wasClean } = await page.evaluate(visit, { url: `wss://${server}/`, kind, stay: 0 });
        assert(same, 'the echo differs');
        assert(code === 4001 && reason === 'bye' && wasClean, `close came back as ${code} “${reason}”, wasClean ${wasClean}`);
      });
    }
  } finally {
    await browser.close();
  }
}

/** Without this check, those above would also pass if the browser trusted everyone. */
async function distrusting() {
  const browser = await launch();
  try {
    await check('a stranger', async () => {
      const page = await browser.newPage();
      const opened = await page.evaluate(url => new Promise(resolve => {
        const socket = new WebSocket(url);
        socket.onopen = () => resolve(true);
        socket.onclose = () => resolve(false);
      }), `wss://${server}/`);
      assert(!opened, 'the browser trusts an unknown authority');
    });
  } finally {
    await browser.close();
  }
}

try {
  await within(90, (async () => {
    for (const version of versions) await trusting(version);
    await distrusting();
  })());
} catch (error) {
  fail('the run as a whole', error);
}
finish(expected);
