// Chat templates that would never end, or fill the memory, or reach for what is none of theirs.

const doubled = (start, times, how) => `{% set ns = namespace(x=${start}) %}{% for i in range(${times}) %}` +
  `{% set ns.x = ${how} %}{% endfor %}`
const LONG = doubled("'aaaaaaaa'", 17, 'ns.x + ns.x') // a megabyte
const MANY = 'range(60000)'

/** Name, and the template. All of them are refused. */
export const ENDLESS = {
  'a long range': '{% for i in range(10**9) %}x{% endfor %}',
  'a longer range': '{% for i in range(10**12) %}{% endfor %}',
  'a range that stands still': '{% for i in range(10**15 * 8, 10**15 * 8 + 4 * 10**9) %}{% endfor %}',
  'an infinite range': '{% for i in range(0 - 1 // 0, 5) %}{% endfor %}',
  'loops in loops': `${`{% for i in ${MANY} %}`.repeat(3)}${'{% endfor %}'.repeat(3)}`,
  'empty loops': `{% for i in ${MANY} %}{% for j in ${MANY} %}{% endfor %}{% endfor %}`,
  'loops that choose': `{% for i in ${MANY} %}{% for j in ${MANY} if false %}{% endfor %}{% endfor %}`,
  'loops that go on': `{% for i in ${MANY} %}{% for j in ${MANY} %}{% continue %}{% endfor %}{% endfor %}`,
  'loops that write': `{% for i in ${MANY} %}{% for j in ${MANY} %}long long text{% endfor %}{% endfor %}`,
  'a macro that calls itself': '{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}',
  'a macro that calls itself twice':
    '{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(30) }}',
  'callers of callers':
    '{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{% call f() %}x{% endcall %}',
  'doubling a text': `${doubled("'aa'", 60, 'ns.x + ns.x')}{{ ns.x|length }}`,
  'doubling with ~': `${doubled("'aa'", 60, 'ns.x ~ ns.x')}{{ ns.x|upper }}`,
  'doubling a list': `${doubled('[1, 2]', 60, 'ns.x + ns.x')}{{ ns.x|length }}`,
  'a list of lists': `${doubled('[1, 2]', 60, '[ns.x, ns.x]')}{{ ns.x|tojson }}`,
  'a list of lists, written': `${doubled('[1, 2]', 60, '[ns.x, ns.x]')}{{ ns.x }}`,
  'a list of lists, compared': `${doubled('[1, 2]', 60, '[ns.x, ns.x]')}${doubled('[1, 2]', 60, '[ns.x, ns.x]')
    .replaceAll('ns', 'os')}{{ ns.x == os.x }}`,
  'a deep list': `${doubled('[]', 50000, '[ns.x]')}{{ ns.x|tojson }}`,
  'a mapping of mappings': `${doubled("{'a': 1}", 60, "{'a': ns.x, 'b': ns.x}")}{{ ns.x|string }}`,
  'a namespace of itself': '{% set ns = namespace() %}{% set ns.a = ns %}{% set ns.b = ns %}{{ ns }}',
  'namespaces in a list': `{% set ns = namespace(x='') %}{% set l = [ns, ns] %}{% set ns.x = 'a' %}{{ l|tojson }}`,
  'a wide indentation': "{{ 'a\\nb'|indent(10**9) }}",
  'many indentations': `${LONG}{{ ns.x|replace('a', '\\n')|indent(1000, true, true) }}`,
  'a wide indentation of JSON': '{{ [1]|tojson(indent=10**9) }}',
  'wide separators of JSON': `${LONG}{{ ${MANY}|list|tojson(separators=(ns.x, ns.x)) }}`,
  'a huge join': `${LONG}{{ ${MANY}|join(ns.x) }}`,
  'a huge join of characters': `${LONG}{{ ns.x|join(ns.x) }}`,
  'a list of long texts': `${LONG}{% set l = ${MANY} %}{{ l|map(attribute='x', default=ns.x)|join }}`,
  'replacing by more': `${LONG}{{ ns.x|replace('a', ns.x) }}`,
  'replacing nothing by more': `${LONG}{{ ns.x.replace('', 'bbbbbbbb') }}`,
  'a long search': `${LONG}{{ ('b' + ns.x) in (ns.x + ns.x) }}`,
  'a long search to replace': `${LONG}{{ (ns.x + ns.x).replace('b' + ns.x, '') }}`,
  'splitting into many': `${LONG}{{ ns.x.split('a')|length }}`,
  'splitting into many words': `${LONG}{{ ns.x.replace('a', 'a ').split()|length }}`,
  'slices without end': `{% for i in ${MANY} %}{% set x = ${MANY}[::-1] %}{% endfor %}`,
  'keeping everything': `${LONG}{% set os = namespace(l=[]) %}` +
    `{% for i in ${MANY} %}{% set os.l = os.l + [ns.x ~ i] %}{% endfor %}`,
  'sorting many': `{{ ${MANY}|list|sort|length }}`,
  'sorting by a long path': `{{ range(4000)|list|sort(attribute='${'a.'.repeat(500)}')|length }}`,
  'the time, at length': `${LONG}{{ strftime_now(ns.x.replace('a', '%B')) }}`,
  'powers': '{{ 10 ** 10 ** 10 ** 10 }}',
  'deep expressions': `{{ ${'not '.repeat(20000)}x }}`,
  'deep parentheses': `{{ ${'('.repeat(50000)}1${')'.repeat(50000)} }}`,
  'a long sum': `{{ 0${' + 1'.repeat(10000)} }}`,
  'white space': `${' '.repeat(200000)}{{ 1 }}`,
  'a long template': 'x'.repeat(300000),
  'an open list': '{{ [1, 2',
  'an open block': '{% if x %}',
}

/** What has to give nothing, or an error: each line is a template. */
export const PRYING = `
{{ ''.constructor }}
{{ ''['constructor'] }}
{{ messages.constructor }}
{{ messages[0].constructor }}
{{ messages[0]['__proto__'] }}
{{ messages.__proto__ }}
{{ [].constructor }}
{{ {}.constructor }}
{{ range.constructor }}
{{ range.call }}
{{ namespace().constructor }}
{{ namespace().__proto__ }}
{{ (1).constructor }}
{{ true.constructor }}
{{ none.constructor }}
{{ process }}
{{ globalThis }}
{{ self }}
{{ window }}
{{ raise_exception.constructor }}
{{ messages[0].get('__proto__') }}
{{ messages[0].get('constructor', '') }}
{{ messages|map(attribute='constructor')|join }}
{{ messages|map(attribute='__proto__.constructor')|join }}
{{ {'a': 1}['constructor'] }}
{{ ''.split.constructor }}
{{ cycler }}{{ joiner }}{{ lipsum }}
`.trim().split('\n')
