// Which models, engines and columns are measured: words such as `model=Q4_0,!stories`. A name passes that contains one of the
// words, and none that stands behind a `!`. In the words _ may stand for a blank.

// A minute's look at one model, one thread, at what the whole is about.
const QUICK = ['model=shape-Q4_0,!MobileLLM', 'engine=1t,!q8_0,!unrolled,!3.8,!transformers', 'column=prefill-256,decode-0'];

/** @param {string[]} words @returns {(kind: 'model' | 'engine' | 'column') => (name: string) => boolean} */
export function filters(words) {
  const pairs = words.flatMap((word) => (word === 'quick' ? QUICK : [word])).map((word) => word.split('='));
  const unknown = pairs.find(([kind, list]) => !['model', 'engine', 'column'].includes(kind) || !list);
  if (unknown) throw new Error(`${unknown.join('=')}: want model=, engine= or column= with words, or quick`);
  const given = Object.fromEntries(pairs);
  return (kind) => {
    const list = (given[kind] ?? '').split(',').filter(Boolean).map((word) => word.replaceAll('_', ' '));
    const wanted = list.filter((word) => !word.startsWith('!')), unwanted = list.filter((word) => word.startsWith('!')).map((word) => word.slice(1));
    return (name) => {
      const has = (word) => name.replaceAll('_', ' ').includes(word);
      return (!wanted.length || wanted.some(has)) && !unwanted.some(has);
    };
  };
}
