// The example `rooms`, for the scripts that test it: they start and stop it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { assert } from './checks.mjs';

export class RoomsServer {
  constructor(program, address) { Object.assign(this, { program, address }); }

  async start() {
    this.process = spawn(this.program, [this.address], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = await once(createInterface(this.process.stdout), 'line');
    assert(line.includes('listening on'), line);
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
