// The example `rooms`, for the scripts that test it: they start and stop it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export class RoomsServer {
  constructor(program, address, ...options) { Object.assign(this, { program, address, options }); }

  async start() {
    this.process = spawn(this.program, [this.address, ...this.options], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface(this.process.stdout);
    await new Promise((resolve, reject) => {
      lines.on('line', line => { if (line.includes('listening on')) resolve(); }); // and goes on reading
      lines.on('close', () => reject(new Error('the server ended before it listened')));
    });
  }

  /** Ends the server in a way that it does not notice, or cleanly. */
  async stop(signal = 'SIGKILL') {
    const { exitCode, signalCode } = this.process;
    if (exitCode !== null || signalCode !== null) throw new Error('the server ended by itself');
    const ended = once(this.process, 'exit');
    this.process.kill(signal);
    await ended;
  }
}
