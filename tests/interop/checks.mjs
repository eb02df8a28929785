// The little that the Node scripts share: named checks under a time limit, and an honest last line.

const results = new Map();

/** Runs one check; whatever it throws, or 20 seconds without an end, is its failure, and the next has its turn. */
export async function check(name, run, seconds = 20) {
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

/** Prints the totals and ends the process: a failure, or nothing run, is exit status 1. */
export function finish(expected = []) {
  for (const name of expected) if (!results.has(name)) fail(name, 'never asked for');
  const failed = [...results.values()].filter(passed => !passed).length;
  console.log(`${results.size - failed} passed, ${failed} failed`);
  process.exit(failed || !results.size ? 1 : 0);
}

export async function within(seconds, promise) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(reject, seconds * 1000, new Error(`no end after ${seconds} s`)); });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function assert(truth, message) {
  if (!truth) throw new Error(message);
}
