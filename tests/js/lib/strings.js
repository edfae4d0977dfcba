// Texts that are hard on tokenizers, from a seed: scripts of many languages, emoji with joiners and skin tones, controls,
// digits, white space of every kind, contractions in both cases, long runs, lone surrogates, special-token text.

const SCRIPTS = [
  'The quick brown fox jumps over the lazy dog', 'Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich',
  'Příliš žluťoučký kůň úpěl ďábelské ódy', 'нещо на Български, ещё по-русски', 'Ξεσκεπάζω την ψυχοφθόρα βδελυγμία',
  'דג סקרן שט בים מאוכזב', 'صِف خَلقَ خَودِ كَمِثلِ الشَمسِ', 'ऋषियों को सताने वाले दुष्ट राक्षसों', 'আমি কাঁচ খেতে পারি',
  'நான் கண்ணாடி சாப்பிடுவேன்', 'เป็นมนุษย์สุดประเสริฐเลิศคุณค่า', 'កាន់តែពិសេសអាចខលចេញ', 'ကျွန်တော် မြန်မာ', 'ང་ཚོ་བོད་པ',
  '我想在apple工作1314151天～', '敏捷的棕色狐狸跳過了懶狗', 'いろはにほへとちりぬるを', 'イロハニホヘト ﾁﾘﾇﾙｦ', '다람쥐 헌 쳇바퀴에 타고파', 'Cửa Việt tiếng',
  'ᚠᛇᚻ᛫ᛒᛦᚦ', 'ሰማይ አይታረስ', 'ᏣᎳᎩ', '𐌼𐌰𐌲 𐌲𐌻𐌴𐍃', '𝒽𝑒𝓁𝓁𝑜 𝟏𝟐𝟑', 'ﬁnance ﬂow ǅ ǆ', 'e\u0301a\u0308\u0323o\u0302\u0301',
];
const EMOJI = ['😀', '👍🏽', '👩‍👩‍👧‍👦', '🏴‍☠️', '🇩🇪🇫🇷', '😶‍🌫️', '🚀', '✅', '❤️', '1️⃣', '🧑🏿‍🚒', '🦙.cpp', '☺', '©', '㊗️'];
const CONTRACTIONS = ["'s", "'S", "'t", "'T", "'re", "'RE", "'Re", "'rE", "'ve", "'VE", "'m", "'M", "'ll", "'LL", "'lL", "'d",
  "'D", "''s", "'ſ", "'\u212a", '’s', "y'all're", "don't", "DON'T", "we'Ve", "'x", "'l", "'r"];
const SPACES = [' ', '  ', '   ', '\t', '\n', '\r\n', '\n\n', '\r', '\v', '\f', '\u00a0', '\u1680', '\u2003', '\u2009', '\u200a',
  '\u2028', '\u2029', '\u202f', '\u205f', '\u3000', '\u0085', '\u200b', '\ufeff', ' \n ', '\t\n', '\n ', '    '];
const DIGITS = ['0', '7', '42', '123', '1234', '12345', '123456', '1234567890', '3.14159', '1,000,000', '²³', '½', 'Ⅷ', '①②', '٣٤٥',
  '१२३', '９８７', '𝟗𝟘', '0x1F', '1e-9', '2024-02-29'];
const MARKS = ['!', '?!', '...', '…', '"', '“q”', '(', ')', '[]', '{};', '<>', '</', '->', '=>', '==', '+=', '$', '€', '#', '@', '&&', '||',
  '~', '^', '`', '```', '\\', '/', '//', '_', '__', '-', '--', '—', '*', '**', '%', '、', '。', '「」', '¿', '§', '‰', '°', '×'];
const CONTROLS = ['\u0001', '\u0007', '\u0008', '\u001b[0m', '\u001c', '\u001f', '\u007f', '\u0080', '\u009f', '\u00ad', '\u200e', '\u202e',
  '\ufffd', '\ufffe', '\uffff', '\ue000', '\u{10ffff}', '\u0378'];
const LONE = ['\ud800', '\udc00', '\udbff\ud800', 'a\udfff'];
const CODE = ['for (int i = 0; i < n; i++) {\n    x[i] += 2;\n}', 'def f(self):\n\treturn None\n', '<div class="a">\r\n  <br/>\r\n</div>',
  'https://example.org/a?b=c&d=%20#e', 'SELECT * FROM t WHERE id=1;', '\\begin{equation} \\alpha_1^2', '{"a": [1, 2, null]}'];
const SPECIAL = ['<s>', '</s>', '<unk>', '<|im_start|>', '<|im_end|>', '<|endoftext|>', '<|begin_of_text|>', '<|eot_id|>', '<bos>', '<eos>',
  '<start_of_turn>', '<end_of_turn>', '<|end|>', '<|user|>', '<0x41>', '<tool_call>', '<|im_', '|>', '<|', '<unused7>', '▁', '▁▁', 'Ġ', '<mask>'];

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let bits = Math.imul(seed ^ (seed >>> 15), seed | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` different texts without zero bytes. */
export function strings(count, seed) {
  const next = random(seed);
  const below = (limit) => Math.floor(next() * limit);
  const pick = (list) => list[below(list.length)];
  const words = () => pick(SCRIPTS).split(' ').slice(below(3)).slice(0, 1 + below(6)).join(pick([' ', ' ', ' ', '', '  ', '-']));
  const point = () => {
    const value = 1 + below(pick([0x250, 0x3000, 0x10000, 0x20000, 0x10ffff]));
    return value >= 0xd800 && value < 0xe000 ? 'x' : String.fromCodePoint(value);
  };
  const noise = () => Array.from({ length: 1 + below(6) }, point).join('');
  const run = () => pick([' ', '\n', '\t', 'a', '0', '=', '-', '!', '▁', '的', '😀', 'ab', ' a', '\r\n', '\u00a0', '<']).repeat(1 + below(70));
  const makers = [words, words, words, () => pick(EMOJI), () => pick(CONTRACTIONS), () => pick(SPACES), () => pick(SPACES),
    () => pick(DIGITS), () => pick(MARKS), () => pick(CONTROLS), () => pick(CODE), () => pick(SPECIAL), noise, run];
  const made = new Set(['', ' ', '\n', ...LONE]);
  while (made.size < count) {
    const parts = Array.from({ length: 1 + below(9) }, () => pick(makers)());
    if (below(50) === 0) parts.push(pick(LONE));
    made.add(parts.join(pick(['', '', ' '])));
  }
  return [...made];
}
