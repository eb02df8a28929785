// Shared by the Node scripts: named checks with a time limit, and the final summary.

const results = new Map();

/** Runs one check. It fails if it throws or exceeds its time limit; in either case, the next check can run. */
export async function check(name, run, seconds = 60) {
  try {
    await within(seconds, run());
    results.set(name, true);
    console.log(`ok    ${name}`);
  } catch (error) {
    fail(name, error);
  }
}

export function fail(name, error) {
  results.set(name, false);
  console.log(`FAIL  ${name}: ${error}`);
}

/** Prints the totals and exits, with status 1 if a check failed or none ran. */
export function finish(expected = []) {
  for (const name of expected) if (!results.has(name)) fail(name, 'did not run');
  const failed = [...results.values()].filter(passed => !passed).length;
  console.log(`${results.size - failed} passed, ${failed} failed`);
  process.exit(failed || !results.size ? 1 : 0);
}

export async function within(seconds, promise) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(reject, seconds * 1000, new Error(`timed out after ${seconds} s`)); });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function assert(truth, message) {
  if (!truth) throw new Error(message);
}
