// Templates come from files that nobody vouches for: whatever they do, a rendering ends in time, in little memory, and
// sees nothing but the conversation.
import * as jinja from '@huggingface/jinja';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileTemplate, LIMITS } from '../../js/chat.js';
import { ENDLESS, PRYING } from './lib/hostile-templates.js';

const SLACK_MS = 2500; // one step of the library, on a slow machine with others at work
const MOST_BYTES = 700e6;
const messages = [{ role: 'user', content: 'Hi' }];
const BARE = { messages, bos: '', eos: '', control: ['<|im_end|>'], addGenerationPrompt: true };

for (const [name, source] of Object.entries(ENDLESS)) {
  test(name, () => {
    const start = performance.now();
    assert.throws(() => compileTemplate(jinja, source).render(BARE), ({ code, message }) => (
      code === 'RP_ERR_FORMAT' && message.startsWith('chat template: ') && message.length < 200));
    const ms = performance.now() - start;
    assert.ok(ms < LIMITS.ms + SLACK_MS, `${ms.toFixed(0)} ms`);
  });
}

test('all of that fits into memory', () => {
  const bytes = process.resourceUsage().maxRSS * 1024;
  assert.ok(bytes < MOST_BYTES, `${(bytes / 1e6).toFixed(0)} MB`);
});

test('limits are of a rendering, not of a template', () => {
  const source = '{% for i in range(200) %}{{ messages[0].content }}{% endfor %}';
  const template = compileTemplate(jinja, source, { allCharacters: 4000 });
  for (let i = 0; i < 20; i++) assert.is(template.render(BARE).length, 400);
});

test('limits can be set, and errors name them', () => {
  const cases = {
    '{{ "a" ~ "bcdef" }}': [{ characters: 5 }, /more than 5 characters/],
    '{% for i in range(9) %}{% endfor %}': [{ items: 8 }, /more than 8 elements/],
    '{{ [3, 2, 1]|sort }}': [{ sorted: 2 }, /more than 2 elements/],
    '{{ [[[[[1]]]]] }}': [{ depth: 5 }, /more than 5 deep/],
    '{{ "abcd" }}': [{ source: 8 }, /more than 8 characters/],
    'a   b': [{ space: 2 }, /more than 2 characters of white space/],
    '{% for i in range(9999) %}{% for i in range(9999) %}{% endfor %}{% endfor %}': [{ ms: 20 }, /more than 20 ms/],
  };
  for (const [source, [limits, pattern]] of Object.entries(cases))
    assert.throws(() => compileTemplate(jinja, source, limits).render(BARE), ({ code, message }) => (
      code === 'RP_ERR_FORMAT' && pattern.test(message)), source);
});

test('a template sees nothing of the host', () => {
  for (const source of PRYING) {
    let text = '';
    try {
      text = compileTemplate(jinja, source).render(BARE);
    } catch (error) {
      assert.is(error.code, 'RP_ERR_FORMAT', source);
    }
    assert.ok(text === '' || text === 'None', `${source} gives ${text}`);
  }
  assert.is(compileTemplate(jinja, '{{ range }}{{ [raise_exception] }}').render(BARE).includes('=>'), false);
});

test('long conversations are rendered', () => {
  const template = compileTemplate(jinja, `{%- for message in messages -%}{{ '<|im_start|>' + message.role }}
{% if message.content is string and '</think>' in message.content %}{{ message.content.split('</think>')[-1]|trim }}
{%- else %}{{ message.content }}{% endif %}{{ '<|im_end|>' }}{% endfor %}`);
  const message = { role: 'user', content: 'All work and no play makes Jack a dull boy.\n'.repeat(10) };
  const many = Array.from({ length: 2000 }, () => message);
  assert.is(template.render({ ...BARE, messages: many }).length, 2000 * (message.content.length + 27));
});

test.run();
