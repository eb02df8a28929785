// Launches the browser of the scripts that need one: $CHROMIUM, or Debian's Chromium.

import { chromium } from 'playwright-core';

export const launch = (...more) => chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--no-first-run', ...more],
});
