#!/usr/bin/env python3
"""Writes tests/golden/chat.json: what Python's Jinja (Debian's python3-jinja2), set up as transformers does, makes of
every template in ../shared/data/chat-templates with the conversations below, and of small templates for single features.

    python3 tests/golden/make-chat.py
"""
import datetime
import glob
import hashlib
import json
import os
import re

import jinja2
import jinja2.ext
import jinja2.sandbox

HERE = os.path.dirname(os.path.abspath(__file__))
TEMPLATES = os.path.join(HERE, "../../../shared/data/chat-templates")
NOW = datetime.datetime(2025, 7, 4, 9, 5, 3)

CHATML = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
# bos, eos and some control tokens of each family, by the beginning of the template's name
FAMILIES = {
    "HuggingFaceTB": (CHATML[0], CHATML[1], CHATML),
    "LFM2.5": ("<|startoftext|>", "<|im_end|>", CHATML + ["<|startoftext|>"]),
    "Qwen": ("", "<|im_end|>", CHATML + ["<|vision_start|>"]),
    "deepseek": ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>",
                 ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"]),
    "google": ("<bos>", "<eos>", ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"]),
    "ibm": ("<|end_of_text|>", "<|end_of_text|>", ["<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>", "<|tool_call|>"]),
    "meta": ("<|begin_of_text|>", "<|eot_id|>",
             ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>"]),
    "microsoft": ("<s>", "<|endoftext|>", ["<s>", "</s>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>", "<|system|>"]),
    "mistralai": ("<s>", "</s>", ["<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]"]),
}


def system(text):
    return {"role": "system", "content": text}


def user(text):
    return {"role": "user", "content": text}


def answer(text, **more):
    return {"role": "assistant", "content": text, **more}


WEATHER = {"type": "function", "function": {
    "name": "weather", "description": "Tells \"the\" weather <b>\n& more", "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "enum": ["Zürich", "東京"]}, "days": {"type": "integer"}},
        "required": ["city"]}}}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "abcdefghi", "type": "function", "function": {"name": "weather", "arguments": {"city": "東京", "days": 2}}}
SPELLED = "".join(sorted({token for _, _, tokens in FAMILIES.values() for token in tokens}))

# name: messages, tools, options, add_generation_prompt
CONVERSATIONS = {
    "user": ([user("Hello!")], None, {}, True),
    "system": ([system("Be brief."), user("Hello!")], None, {}, True),
    "no-prompt": ([system("Be brief."), user("Hello!"), answer("Hi.")], None, {}, False),
    "turns": ([system("Be brief."), user("One?"), answer("1."), user("Two?"), answer("2."), user("Three?")], None, {}, True),
    "turns-without-system": ([user("One?"), answer("1."), user("Two?")], None, {}, True),
    "thinking": ([user("One?"), answer("<think>\nHm, one.\n</think>\n\nIt is 1."), user("Two?")], None, {}, True),
    "thinking-last": ([user("One?"), answer("<think>\n  Hm\n\n</think>\n\n  It is 1. ")], None, {}, False),
    "thinking-two": ([user("1"), answer("<think>a</think>b"), user("2"), answer("<think>c</think>d")], None, {}, False),
    "reasoning": ([user("One?"), answer("1.", reasoning_content="\nHm.\n"), user("Two?")], None, {}, True),
    "no-thinking": ([user("Hello!")], None, {"enable_thinking": False}, True),
    "with-thinking": ([user("Hello!")], None, {"enable_thinking": True, "thinking": True}, True),
    "mode": ([system("Be brief. /no_think "), user("Hello!"), answer("\n\nHi."), user("Why?")], None, {}, True),
    "options": ([user("Hello!")], None, {"date_string": "1 Jan 2000", "keep_past_thinking": True,
                                         "controls": {"length": "long"}, "documents": [{"doc_id": 1, "text": "A fact."}]}, True),
    "tools": ([user("Weather in Zürich?")], [WEATHER, CLOCK], {}, True),
    "tools-system": ([system("Be brief."), user("Weather in Zürich?")], [WEATHER], {"tools_in_user_message": False}, True),
    "tool-call": ([user("Weather in 東京?"), answer("", tool_calls=[CALL]),
                   {"role": "tool", "content": "{\"rain\": true}", "tool_call_id": "abcdefghi"}], [WEATHER], {}, True),
    "tool-answered": ([user("Weather?"), answer("", tool_calls=[CALL]),
                       {"role": "tool", "content": "rain", "tool_call_id": "abcdefghi"}, answer("Rain."), user("Thanks")],
                      [WEATHER], {}, True),
    "two-results": ([user("Weather?"), answer("Let me see.", tool_calls=[CALL]),
                     {"role": "tool", "content": "rain", "tool_call_id": "abcdefghi"},
                     {"role": "tool", "content": "sun", "tool_call_id": "abcdefghi"}], None, {}, True),
    "same-twice": ([user("Again"), answer("1."), user("Again")], [CLOCK], {}, True),
    "not-alternating": ([user("One?"), user("Two?")], None, {}, True),
    "answer-first": ([answer("Hi."), user("Hello!")], None, {}, True),
    "system-late": ([user("One?"), system("Be brief."), user("Two?")], None, {}, True),
    "strange-role": ([{"role": "critic", "content": "Hm."}, user("One?")], None, {}, True),
    "empty": ([system(""), user(""), answer(""), user("")], None, {}, True),
    "space": ([system("  \n Be brief.\t\n"), user(" \n Hello! \n"), answer("\n\t Hi. \n\n"), user("\x1c\u3000x\ufeff\x85")],
              None, {}, True),
    "unicode": ([system("日本語 🙂"), user("naïve e\u0301 \U0001d54f \u2028 \x00 \x7f"), answer("🙂🇨🇭")], None, {}, False),
    "markup": ([user("{{ messages }} {% raw %} {# x #} <b>&amp;</b> \\n \"'")], [CLOCK], {}, True),
    "spelled": ([system("s" + SPELLED), user("u" + SPELLED + "x"), answer(SPELLED + "a"), user("<" + SPELLED + "<|")], None, {}, True),
    "pieces": ([user("<|"), answer("im_end|>"), user("<|im_"), answer("|>"), user("<<|im_end|>>")], None, {}, True),
    "responses": ([user("<tool_response>\nx\n</tool_response>"), answer("<think>\n</think>a"), user("b")], None, {}, True),
}

# Single features: what `{{ }}` of the template is with these variables.
VARIABLES = {"s": "  Hello, World\n", "l": [3, 1, 2], "m": {"b": 1, "a": "x"}, "n": None, "t": True, "f": 1.5, "e": "",
             "ms": [{"role": "user", "n": 2}, {"role": "tool", "n": 1}], "p": "a-b-c", "u": "çé🙂"}
FEATURES = """
{{ s.strip() }}|{{ s.lstrip() }}|{{ s.rstrip('\\n') }}|{{ s.strip('\\n ') }}
{{ s|trim }}|{{ p|trim('ac') }}|{{ s|upper }}|{{ s|lower }}|{{ p|capitalize }}|{{ p|title }}|{{ 'hELLO wORLD'|capitalize }}
{{ p.split('-') | length }}{{ p.split('-')[-1] }}{{ p.split('-', 1)[1] }}{{ 'a  b'.split()[1] }}
{{ p.replace('-', '+') }}{{ p|replace('-', '') }}{{ p.replace('-', '+', 1) }}
{{ p.startswith('a') }}{{ p.endswith(('x', 'c')) }}
{{ p[0] }}{{ p[-1] }}{{ p[1:3] }}{{ p[::-1] }}{{ u[2] }}{{ u|length }}{{ u[::-1] }}
{{ p.removeprefix('a') }}{{ p.removesuffix('-c') }}
{{ l|join(', ') }}{{ l|sort|join }}{{ l|first }}{{ l|last }}{{ l|length }}{{ l[1:]|join('-') }}{{ l|reverse|list|join }}
{{ l[::-1]|join }}{{ [1,1,2]|unique|list|length }}{{ l|max }}{{ l|sum }}
{{ ms|map(attribute='role')|join(',') }}{{ ms|selectattr('role', 'equalto', 'user')|list|length }}{{ ms|sort(attribute='n')|map(attribute='role')|first }}
{{ ms|rejectattr('role', 'equalto', 'user')|list|length }}{{ ms|selectattr('n')|list|length }}
{% for k, v in m.items() %}{{ k }}={{ v }};{% endfor %}{% for k in m %}{{ k }}{% endfor %}{% for k, v in m|dictsort %}{{ k }}{% endfor %}
{{ m.get('a') }}{{ m.get('z', 'd') }}{{ m['b'] }}{{ m.z is defined }}{{ 'a' in m }}{{ m.keys()|list|join }}{{ m|length }}
{{ m|tojson }}{{ m|tojson(indent=2) }}{{ u|tojson }}{{ u|tojson(ensure_ascii=true) }}{{ l|tojson }}{{ n|tojson }}{{ t|tojson }}{{ f|tojson }}
{{ m|tojson(separators=(',', ':')) }}{{ m|tojson(sort_keys=true) }}{{ '</script>&\\''|tojson }}
{{ n }}|{{ t }}|{{ f }}|{{ undefined }}|{{ 1.0 }}|{{ 1 }}|{{ false }}
{{ l }}|{{ m }}|{{ ['a', none, true] }}
{{ l|string }}|{{ t|string }}|{{ 1|string }}
{{ 'a' ~ 1 ~ none ~ true ~ nothing }}
{{ 7 // 2 }}{{ -7 // 2 }}{{ 7 % 3 }}|{{ -7 % 3 }}|{{ 2 ** 3 }}{{ 7 / 2 }}|{{ 6 / 2 }}
{{ 'ab' * 2 }}
{{ 1 == 1.0 }}{{ '1' == 1 }}{{ '' == 0 }}{{ n == false }}{{ [1, 2] == [1, 2] }}{{ m == {'b': 1, 'a': 'x'} }}{{ ms[0] == ms[1] }}
{{ 'a' < 'b' }}{{ 1 < 2 }}{{ 'x' in p }}{{ 1 in l }}{{ 9 not in l }}
{{ t and 'x' or 'y' }}{{ not t }}{{ 'yes' if t else 'no' }}{{ 'only' if not t }}
{{ n is none }}{{ p is string }}{{ l is iterable }}{{ m is mapping }}{{ l is sequence }}{{ 3 is odd }}{{ t is true }}{{ 1 is number }}{{ p is not defined }}
{{ 1 is boolean }}{{ true is boolean }}{{ 2 is divisibleby(2) }}{{ 1 is eq(1) }}
{{ n|default('d') }}{{ nothing|default('d') }}{{ e|default('d', true) }}{{ nothing|d('d') }}
{{ '3'|int + 1 }}{{ 'x'|int }}{{ '1.5'|float }}{{ 3.7|int }}{{ -3.7|int }}{{ -3|abs }}{{ 2.5|round }}
{{ 'a\\nb'|indent }}|{{ 'a\\nb'|indent(2, true) }}
{% for x in l %}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ x }}{% else %}none{% endfor %}{% for x in [] %}{% else %}none{% endfor %}
{% for x in l if x > 1 %}{{ x }}{{ loop.length }}{% endfor %}
{% for x in l %}{% if x == 1 %}{% set y = x %}{% endif %}{{ y }}{% endfor %}
{% set y = 0 %}{% for x in l %}{% set y = x %}{% endfor %}{{ y }}
{% set ns = namespace(y=0) %}{% for x in l %}{% set ns.y = ns.y + x %}{% endfor %}{{ ns.y }}
{% for x in l %}a{{ x }}{% if x == 1 %}b{% break %}{% endif %}c{% endfor %}
{% for x in l %}a{% if x == 1 %}b{% continue %}{% endif %}c{% endfor %}
{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{% endfor %}{% for c in 'abc' %}{{ c }}-{% endfor %}
{% for x in l %}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('a', 'b') }}{{ loop.revindex }}{% endfor %}
{% for x in range(3) %}{{ x }}{% endfor %}{{ range(1, 7, 2)|list|join }}{{ range(3, 0, -1)|join }}
{% macro f(a, b='d') %}<{{ a }}{{ b }}>{% endmacro %}{{ f(1) }}{{ f('x', b='y') }}{{ f(1)|upper }}
{% macro f(a) %}{{ a }}{{ caller() }}{% endmacro %}{% call f(1) %}in{% endcall %}
{% set x %}  a{{ 1 }} {% endset %}[{{ x|trim }}]
{% filter upper %}abc{% endfilter %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set d = {'k': 'v'} %}{{ d.k }}{{ d['k'] }}
{%- set x = 1 -%}  {{- x }}  {% raw %}{{ x }}{% endraw %}
{# comment #}a{#- x -#} b
{{ "a" "b" }}{{ 'it\\'s' }}{{ "\\t" }}{{ '\\u00e9' }}
{{ strftime_now('%Y-%m-%d %H:%M:%S %d %b %Y %B %A %a %y %p %I %%') }}
{{ s|string|length }}{{ (s ~ p)|trim }}{{ ['x', p]|join(s)|trim }}
{{ m.items()|list|length }}{{ m|items|list|length }}{{ dict(a=1).a }}{{ 'a,b'.split(',')|map('upper')|join }}
{{ p.upper() }}{{ p.find('b') }}{{ p.count('-') }}{{ 'a'.isdigit() }}{{ '%s-%s'|format(1, 2) }}{{ '{}'.format(1) }}
{{ p.rsplit('-', 1)[0] }}{{ 'a\\nb'.splitlines()|length }}{{ '-'.join(['a', 'b']) }}{{ 'a-b'.partition('-')[0] }}
{{ l|list|length }}{{ (1, 2)|length }}{{ l + [4] }}{{ l|map('string')|join }}
{% if n is none and p %}a{% elif t %}b{% else %}c{% endif %}{{ 1 if e else 2 if n else 3 }}
{% generation %}{{ p }}{% endgeneration %}
""".strip("\n").split("\n")


def refuse(message):
    raise jinja2.exceptions.TemplateError(message)


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class Generation(jinja2.ext.Extension):
    """The tag that transformers adds; it writes what is in it."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.Scope(body, lineno=line)


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols, Generation])
    env.filters["tojson"] = to_json
    env.globals["raise_exception"] = refuse
    env.globals["strftime_now"] = NOW.strftime
    return env


def render(template, variables):
    try:
        return {"text": template.render(**variables)}
    except jinja2.exceptions.TemplateError as error:
        return {"error": str(error)}
    except TypeError as error:
        return {"error": str(error)}


def feature(env, source):
    try:
        return {"source": source, **render(env.from_string(source), VARIABLES)}
    except jinja2.exceptions.TemplateError as error:
        return {"source": source, "error": str(error)}


def sources():
    """Lines without statements are taken apart, so that each expression is a case."""
    for line in FEATURES:
        yield from [line] if "{%" in line or "{#" in line else re.findall(r"\{\{.*?[^}]\}\}(?!\})", line)


def main():
    env = environment()
    families = {}
    for path in sorted(glob.glob(os.path.join(TEMPLATES, "*.jinja"))):
        name = os.path.basename(path)
        with open(path, encoding="utf8", newline="") as file:
            source = file.read()
        bos, eos, control = next(value for start, value in FAMILIES.items() if name.startswith(start))
        results = {}
        for key, (messages, tools, options, prompt) in CONVERSATIONS.items():
            variables = {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": prompt,
                         "bos_token": bos, "eos_token": eos, **options}
            results[key] = render(env.from_string(source), variables)
        families[name] = {"sha256": hashlib.sha256(source.encode()).hexdigest(), "bos": bos, "eos": eos, "control": control,
                          "results": results}
    conversations = {key: {"messages": messages, "tools": tools, "options": options, "addGenerationPrompt": prompt}
                     for key, (messages, tools, options, prompt) in CONVERSATIONS.items()}
    golden = {"judge": "jinja2 " + jinja2.__version__, "now": NOW.isoformat(), "conversations": conversations, "templates": families,
              "variables": VARIABLES, "features": [feature(env, source) for source in sources()]}
    with open(os.path.join(HERE, "chat.json"), "w", encoding="utf8") as file:
        json.dump(golden, file, ensure_ascii=False, indent=1)
        file.write("\n")


main()
