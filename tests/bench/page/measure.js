// One measurement of one engine, in a page of its own: from a Blob in memory to the columns that are wanted. The clock is the
// page's. What an engine looks like is in the files beside this one.

/**
 * @typedef {object} Options
 * @property {'relaxed' | 'simd128' | 'scalar'} isa
 * @property {number} threads
 * @property {'f16' | 'q8_0'} kv
 * @property {number} context
 * @property {Record<number, string>} texts prompts of so many tokens
 */
/**
 * @typedef {object} Work
 * @property {number} start prompt of the first token
 * @property {number[]} prefill prompts
 * @property {number[]} decode depths
 * @property {number} tokens written at each depth
 */

/** Milliseconds to the first token, to a loaded model, of each prefill, of a token at each depth; and what memory it says it has.
 * @param {string} adapter @param {string} file @param {Options} options @param {Work} work */
export async function measure(adapter, file, options, work) {
  const blob = await (await fetch(file)).blob();
  const begun = performance.now();
  const { start } = await import(adapter);
  const engine = await start(blob, options);
  const loading = engine.ready.then(() => performance.now() - begun);
  await engine.prefill(work.start);
  const result = { start: performance.now() - begun, load: await loading, prefill: {}, decode: {}, memory: {} };
  // The browser compiles again what turns out to be hot.
  await engine.prefill(work.warm);
  await engine.decode(0, work.tokens);
  engine.check?.();
  // By length, so that an engine with a prompt cache goes on from the shorter prompt to the deeper place.
  const steps = [...work.prefill.map((count) => ['prefill', count]), ...work.decode.map((depth) => ['decode', depth])];
  for (const [what, length] of steps.sort((a, b) => a[1] - b[1]))
    result[what][length] = what === 'prefill' ? await engine.prefill(length) : (await engine.decode(length, work.tokens)) / work.tokens;
  result.memory = await engine.memory();
  await engine.end();
  return result;
}
