// A test that cannot run here says why: `if (!there) return skip('no GPU')`. tests/run.js counts the line and
// repeats it, so that nothing passes by not running.

/** @param {string} reason */
export function skip(reason) {
  console.log(`\nSKIP ${reason}`); // uvu leaves its dots on an open line
}
