// Chat templates against Python's Jinja: ten families with thirty conversations each, and single features of the
// language (tests/golden/chat.json, made by make-chat.py). Answers that go on; syntax errors; what is no
// conversation.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import * as jinja from '@huggingface/jinja';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileTemplate, withoutGuards } from '../../js/chat.js';
import { ROOT } from './lib/cli.js';
import { skip } from './lib/skip.js';

const FOLDER = `${ROOT}../shared/data/chat-templates/`;
const golden = JSON.parse(readFileSync(`${ROOT}tests/golden/chat.json`, 'utf8'));
const now = new Date(golden.now); // without a zone: local, as strftime writes it
const BARE = { messages: [], bos: '', eos: '', control: [], addGenerationPrompt: false, now };

// What the library does not know: it refuses these, or (the last two) writes something else.
const UNKNOWN = `{{ l|max }}
{{ l|sum }}
{{ 'ab' * 2 }}
{{ 2 is divisibleby(2) }}
{{ 1 is eq(1) }}
{{ 2.5|round }}
{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{% endfor %}{% for c in 'abc' %}{{ c }}-{% endfor %}
{%- set x = 1 -%}  {{- x }}  {% raw %}{{ x }}{% endraw %}
{{ dict(a=1).a }}
{{ 'a,b'.split(',')|map('upper')|join }}
{{ p.find('b') }}
{{ p.count('-') }}
{{ 'a'.isdigit() }}
{{ '%s-%s'|format(1, 2) }}
{{ '{}'.format(1) }}
{{ p.rsplit('-', 1)[0] }}
{{ 'a\\nb'.splitlines()|length }}
{{ '-'.join(['a', 'b']) }}
{{ 'a-b'.partition('-')[0] }}
{{ l|map('string')|join }}
{{ -3.7|int }}
{{ u[2] }}`.split('\n');

function outcome(run) {
  try {
    return { text: withoutGuards(run()) };
  } catch (error) {
    return { error: `${error.code} ${error.message}` };
  }
}

const expected = ({ text, error }) => (
  error === undefined ? { text } : { error: `RP_ERR_ARGUMENT chat template: ${error}` });

for (const [name, { sha256, bos, eos, control, results }] of Object.entries(golden.templates)) {
  test(name, () => {
    if (!existsSync(FOLDER + name)) return skip(`${name} is absent`);
    const source = readFileSync(FOLDER + name, 'utf8');
    assert.is(createHash('sha256').update(source).digest('hex'), sha256, 'the template that the golden was made from');
    const template = compileTemplate(jinja, source);
    for (const [key, result] of Object.entries(results)) {
      const conversation = golden.conversations[key];
      assert.equal(outcome(() => template.render({ ...conversation, bos, eos, control, now })), expected(result), key);
    }
  });

  test(`${name}: an answer goes on`, () => {
    if (!existsSync(FOLDER + name)) return skip(`${name} is absent`);
    const template = compileTemplate(jinja, readFileSync(FOLDER + name, 'utf8'));
    for (const content of ['', 'It is', '<think>\nHm', '<think>\nHm.\n</think>\n\n It ', `so ${control[0]}`]) {
      for (const options of [{}, { enable_thinking: false }]) {
        const common = { bos, eos, control, now, options };
        const asked = [{ role: 'user', content: 'One?' }];
        const prompt = template.render({ ...common, messages: asked, addGenerationPrompt: true });
        const messages = [...asked, { role: 'assistant', content }];
        const text = template.render({ ...common, messages, addGenerationPrompt: false, continueFinal: true });
        assert.is(withoutGuards(text), prompt + content);
        assert.is(text.includes('\ufdd0'), content.includes(control[0]));
      }
    }
  });
}

test('single features', () => {
  for (const { source, text, error } of golden.features) {
    const ours = outcome(() => compileTemplate(jinja, source).render({ ...BARE, options: golden.variables }));
    if (UNKNOWN.includes(source)) assert.not.equal(ours, { text }, `${source} is known now`);
    else assert.equal(ours, { text: text ?? error }, source);
  }
});

test('only an answer of text goes on', () => {
  const template = compileTemplate(jinja, '{{ messages|length }}');
  const messages = [{ role: 'user', content: 'a' }, { role: 'assistant', content: null, tool_calls: [{}] }];
  for (const wrong of [[], messages.slice(0, 1), messages, [{ ...messages[1], content: 'b' }]])
    assert.throws(() => template.render({ ...BARE, messages: wrong, continueFinal: true }), /can(not)? go on/);
});

test('bad syntax says where', () => {
  const cases = {
    '{% if x %}\nhello': /ends too early, near "if x %} hello"/, 'a {{ b c }}': /near "a {2}\{\{ b c"/,
    '{{ $ }}': /Unexpected character/, '{% nope %}': /nope/, '{# a': /comment/, "{{ 'a": /end of input/,
  };
  for (const [source, pattern] of Object.entries(cases)) {
    const { error } = outcome(() => compileTemplate(jinja, source));
    assert.match(error, /^RP_ERR_FORMAT chat template: /);
    assert.match(error, pattern);
  }
});

test('a template that fails names what failed', () => {
  assert.is(outcome(() => compileTemplate(jinja, "{{ 'a' + b.c }}").render(BARE)).error,
    'RP_ERR_FORMAT chat template: Cannot perform operation + on undefined values');
  assert.is(outcome(() => compileTemplate(jinja, "{{ raise_exception('roles must alternate') }}").render(BARE)).error,
    'RP_ERR_ARGUMENT chat template: roles must alternate');
});

test('what is no data is refused', () => {
  const template = compileTemplate(jinja, '{{ messages|tojson }}');
  const around = { role: 'user' };
  around.content = around;
  for (const content of [() => {}, Symbol('a'), 10n, around]) {
    const { error } = outcome(() => template.render({ ...BARE, messages: [{ content }] }));
    assert.match(error, /^RP_ERR_ARGUMENT /);
  }
  const messages = [{ role: 'user', content: undefined, n: null }];
  assert.is(template.render({ ...BARE, messages }), '[{"role": "user", "n": null}]');
});

test.run();
