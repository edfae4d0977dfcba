// The text of a message is never read as control tokens: whatever people type, and whatever a template makes of it, a
// rendering has the unguarded control tokens that it has with harmless words in their place, and no more.
import { existsSync, readFileSync } from 'node:fs';
import * as jinja from '@huggingface/jinja';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileTemplate, guardFor, withoutGuards } from '../../js/chat.js';
import { ROOT } from './lib/cli.js';
import { skip } from './lib/skip.js';

const FOLDER = `${ROOT}../shared/data/chat-templates/`;
const { templates } = JSON.parse(readFileSync(`${ROOT}tests/golden/chat.json`, 'utf8'));
const GUARD = '\ufdd0';
const BARE = { bos: '', eos: '', addGenerationPrompt: false };
const CHATML = ['<|im_start|>', '<|im_end|>', '<|endoftext|>'];

/** The control tokens that a tokenizer reads in a guarded text, as a plain search for each of them finds them. */
function tokensOf(text, control) {
  const found = [];
  for (const spelling of control)
    for (let at = text.indexOf(spelling); at >= 0; at = text.indexOf(spelling, at + 1))
      if (text[at - 1] !== GUARD) found.push([at, spelling]);
  return found.sort(([a], [b]) => a - b).map(([, spelling]) => spelling);
}

function random(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Spellings, pieces of them, and words; `x`, `-` and capitals are what the templates below take away or change. */
function nasty(next, control) {
  const pieces = Array.from({ length: 1 + next(6) }, () => {
    const spelling = control[next(control.length)];
    const from = next(spelling.length), to = from + next(spelling.length - from + 1);
    const inner = next(spelling.length);
    const [head, tail] = [spelling.slice(0, inner), spelling.slice(inner)];
    return [spelling, spelling.slice(from, to), spelling.slice(0, to), spelling.slice(from), 'word', ' ', '\n', GUARD,
      spelling.toUpperCase(), `${head}x${tail}`, `${head}/no_think${tail}`, `${head}-${tail}`, [...spelling].join('x'),
      [...spelling].reverse().join('')][next(14)];
  });
  return pieces.join('');
}

function conversation(text) {
  const called = { name: text(), arguments: { [text()]: text(), list: [text()] } };
  const tool = { name: text(), description: text(), parameters: { type: 'object', properties: { [text()]: {} } } };
  return {
    messages: [
      { role: 'system', content: text() },
      { role: 'user', content: `q${text()}` }, // two that are the same are something else to some templates
      { role: 'assistant', content: text(), tool_calls: [{ id: 'abcdefghi', type: 'function', function: called }] },
      { role: 'tool', content: text(), tool_call_id: 'abcdefghi' },
      { role: 'assistant', content: text() },
      { role: 'user', content: text() },
    ],
    tools: [{ type: 'function', function: tool }],
    options: { date_string: text(), controls: { length: text() }, documents: [{ doc_id: text(), text: text() }] },
  };
}

/** The same without what some templates refuse: a system message, tools. */
const plainer = ({ messages, options }) => ({ messages: messages.filter(({ role, tool_calls: calls }) => (
  role !== 'system' && role !== 'tool' && !calls)).slice(-1), options });

function check(name, source, control, { bos, eos }, rounds, change = (value) => value) {
  const template = compileTemplate(jinja, source);
  const next = random(name.length * 7919);
  for (let round = 0; round < rounds; round++) {
    const more = { bos, eos, control, addGenerationPrompt: true, now: new Date(0) };
    let words = 0;
    const harmless = tokensOf(template.render({ ...change(conversation(() => `word${words++}`)), ...more }), control);
    const hostile = change(conversation(() => nasty(next, control)));
    const text = template.render({ ...hostile, ...more });
    assert.equal(tokensOf(text, control), harmless, `${name}: ${JSON.stringify(hostile)} gives ${text}`);
  }
}

for (const [name, family] of Object.entries(templates)) {
  test(name, () => {
    if (!existsSync(FOLDER + name)) return skip(`${name} is absent`);
    const change = /gemma/.test(name) ? plainer : undefined;
    check(name, readFileSync(FOLDER + name, 'utf8'), family.control, family, 80, change);
  });
}

// What a template may do to a text before it writes it.
const CHANGES = [
  "c|replace('x', '')", "c.replace('x', '')", "c|replace('x', '')|replace('-', '')", 'c|upper', 'c|lower', 'c|title',
  'c|capitalize', 'c[1:]', 'c[:-1]', 'c[::-1]', 'c[::2]', 'c[0] ~ c[1:2] ~ c[2:]', 'c[:1] + c[1:2] + c[2:]',
  "c.split('x')|join", "c.split('x')|join('')", "c.split('x')[0] + c.split('x')[-1]", "c.split()|join", 'c|join',
  "c.strip('<x')", "c.lstrip('x-') + c.rstrip('x-')", 'c|trim', 'c + c', 'c ~ c', 'c|tojson',
  'c|tojson(ensure_ascii=true)', '[c, c]|tojson', '[c, c]|join', '[c]', '{"k": c}', 'c|indent(0)',
  "c.removeprefix('x')", "f(c)", "f(c)|replace('x', '')", "f(c)|lower", "f(c)[1:]", "f(c).split('x')|join",
  "('a' + c)|replace('x', '')", "('x' ~ c ~ 'x').replace('x', '')", "namespace(v=c).v|replace('x', '')",
  "{'k': c}['k'].replace('x', '')", "messages|map(attribute='content')|join",
  "messages|map(attribute='content')|list|last|replace('x', '')", "c.replace", "'%'.replace('%', c)",
  "'a%b'|replace('%', c)", "message|tojson", "message", "message|string|replace('x', '')",
  "message|tojson|replace('x', '')", 'message.items()|list', "c|string|replace('x', '')",
  "c|default('')|replace('x', '')", "(c or 'a')|replace('x', '')", "(c if c else 'a').replace('x', '')",
  "message.get('content').replace('x', '')", "message['content']|safe|replace('x', '')",
];

test('whatever a template does to texts', () => {
  for (const change of CHANGES) {
    const source = '{% macro f(a) %}{{ a }}{% endmacro %}{% for message in messages %}{% set c = message.content %}' +
      `{{ '<|im_start|>' + message.role + '\n' }}{{ ${change} }}{{ '<|im_end|>\n' }}{% endfor %}`;
    check(change, source, CHATML, BARE, 50, plainer);
  }
});

test('in blocks, filters and loops', () => {
  const bodies = ["{% set y %}{{ c }}{% endset %}{{ y|replace('x', '') }}",
    "{% filter replace('x', '') %}{{ c }}{% endfilter %}",
    "{% set ns = namespace(y='') %}{% for p in c.split('x') %}{% set ns.y = ns.y + p %}{% endfor %}{{ ns.y }}",
    "{% for p in c.split('x') %}{{ p }}{% endfor %}", "{% call g() %}{{ c.replace('x', '') }}{% endcall %}"];
  for (const body of bodies) {
    const source = '{% macro g() %}{{ caller() }}{% endmacro %}' +
      '{% for message in messages %}{% set c = message.content %}' +
      `{{ '<|im_start|>' }}${body}{{ '<|im_end|>\n' }}{% endfor %}`;
    check(body, source, CHATML, BARE, 50, plainer);
  }
});

test('roles are texts too', () => {
  const template = compileTemplate(jinja,
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' }}{% endfor %}");
  const text = template.render({ ...BARE, messages: [{ role: 'user<|im_end|>', content: 'a' }], control: CHATML });
  assert.equal(tokensOf(text, CHATML), ['<|im_start|>', '<|im_end|>']);
  assert.is(withoutGuards(text), '<|im_start|>user<|im_end|>\na<|im_end|>');
});

test('what a template looks for is what people wrote', () => {
  const template = compileTemplate(jinja, `{% set c = messages[0].content %}{{ c == '<|im_end|>a' }}
{{- c.startswith('<|im') }}{{ c|length }}{{ '</think>' in c }}{{ c[0] }}{{ c in ['<|im_end|>a'] }}
{{- c.split('|')|length }}{{ c < 'z' }}`);
  const text = template.render({ ...BARE, messages: [{ content: '<|im_end|>a' }], control: [...CHATML, '</think>'] });
  assert.is(withoutGuards(text), 'TrueTrue11False<True3True');
});

test('where guards are put', () => {
  const cases = [
    [['<|end|>'], 'a<|end|>b', 'aG<|end|>b'],
    [['<|end|>'], '<|end|><|end|>', 'G<|end|>G<|end|>'],
    [['aba'], 'ababa', 'GabGabGa'],
    [['<s>', '<|end|>'], 'text <', 'text G<'],
    [['<|end|>'], 'text <|en', 'text G<|en'],
    [['<|end|>'], 'nd|> text', 'Gnd|> text'],
    [['<|end|>'], 'text |end|> <|enx', 'text |end|> <|enx'],
    [['<|end|>'], '<|end', 'G<|end'],
    [['<|end|>'], '</think> <tool_response>', '</think> <tool_response>'],
    [['<a>', '<a>b'], '<a>b', 'G<a>b'],
    [[], 'a<|end|>', 'a<|end|>'],
    [['', '<s>'], '<s>', 'G<s>'],
    [['<|end|>'], `<|${GUARD}end|>`, '<|\ufffdend|>'],
    [['\u{1f600}x'], 'a\u{1f600}x\u{1f600}', 'aG\u{1f600}xG\u{1f600}'],
    [[`<${'a'.repeat(999)}>`], `<${'a'.repeat(999)}>`, `G<${'a'.repeat(999)}>`],
  ];
  for (const [control, text, want] of cases) {
    const got = guardFor(control)(text).replace(/\ufdd0+/g, 'G');
    assert.is(got, want, JSON.stringify(text));
  }
});

// What looks at each character's whole past takes hours; on a busy machine this takes seconds.
test('linear in the text', () => {
  const reserved = Array.from({ length: 5000 }, (_, i) => `<|reserved_special_token_${i}|>`);
  const control = [...CHATML, `${'a'.repeat(32)}b`, ...reserved];
  const guard = guardFor(control);
  for (const piece of ['<', '<|im_', 'a', '<|im_end|>', '<|reserved_special_token_49', '|>', 'ab']) {
    const start = performance.now();
    guard(piece.repeat(1e6 / piece.length));
    const ms = performance.now() - start;
    assert.ok(ms < 20_000, `${ms.toFixed(0)} ms for a million characters of ${piece}`);
  }
});

test.run();
