// How a function of a test gets into a page and its result out: as text both ways, the same in every engine. So
// arguments and results are what JSON can say, promises are waited for, and errors keep their names and fields.

/**
 * An expression whose value is a promise of a text; `receive` reads that.
 * @param {string | Function} what a function, or an expression
 * @param {unknown[]} args
 */
export function expression(what, args) {
  const given = args.map((value) => JSON.stringify(value) ?? 'undefined').join(', ');
  const call = typeof what === 'function' ? `(${what})(${given})` : `(${what})`;
  return `(async () => {
    try {
      return JSON.stringify({ value: await ${call} });
    } catch (error) {
      const { name, message, stack } = Object(error);
      const shown = message === undefined ? { message: String(error) } : { ...error, name, message, stack };
      return JSON.stringify({ error: shown }, (key, value) => typeof value === 'bigint' ? String(value) : value);
    }
  })()`;
}

/** @param {string} text */
export function receive(text) {
  const { value, error } = JSON.parse(text);
  if (!error) return value;
  const here = new Error(error.message);
  const { stack, ...rest } = error;
  Object.assign(here, rest);
  // Of the page's own stack, the lines that are about its files.
  const there = String(stack ?? '').split('\n').filter((line) => /https?:|blob:/.test(line))
    .map((line) => `    in the page: ${line.trim()}`);
  const ours = String(here.stack).split('\n').slice(2);
  here.stack = [`${error.name ?? 'thrown'}: ${error.message}`, ...there, ...ours].join('\n');
  throw here;
}
