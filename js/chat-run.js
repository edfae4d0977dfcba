// One rendering of a chat template by @huggingface/jinja, whose interpreter is made to
// - end: see chat-limits.js;
// - keep the text of messages apart: each string of a conversation is a text, whose value has its guards
//   (chat-guard.js) and beside which its clean spelling is kept. Tests, methods and filters see the clean one, as in
//   Python, and what they make of it is a text again, guarded anew; whatever else the library does with it sees guards.
//   So what cannot be followed is guarded, and a template that cuts or joins texts makes no control token of them. (One
//   that writes `'<|' ~ role ~ '|>'` means to.)
// - answer as Python's Jinja where the library does not: see chat-python.js.
import { GUARD, withoutGuards } from './chat-guard.js'
import { Budget } from './chat-limits.js'
import { compare, equal, METHODS, printed, range, strftime, trim } from './chat-python.js'
import { ArgumentError, FormatError } from './errors.js'

const DEEPEST = 64 // of data
const AS_IT_IS = new Set(['tojson', 'safe', 'default', 'd', 'string', 'list']) // filters that do not look into a text
const CONSTANTS = { true: true, false: false, none: null, True: true, False: false, None: null }

/** @typedef {import('./chat-limits.js').Value} Value */
/** Of the library's syntax tree; a `Held` one stands for a value.
 * @typedef {{ type: string, [key: string]: any }} Node */
/** The library. @typedef {{ Environment: any, Interpreter: any, tokenize: any, parse: any }} Jinja */

/** Every error of a template is a FormatError; a conversation that it refuses is an ArgumentError.
 * @param {any} error */
export function asOurs(error) {
  if (error instanceof FormatError || error instanceof ArgumentError) return error
  return new FormatError(`chat template: ${error?.message ?? error}`)
}

/** JSON in ASCII has guards escaped. @param {string} json */
const unescapeGuards = (json) => json.replace(/\\(?:ufdd0|.)/g, (escape) => (escape === '\\ufdd0' ? GUARD : escape))

/** @param {Value} value @returns {Node} */
const held = (value) => ({ type: 'Held', value })

export class Run {
  #jinja
  #budget
  #guard
  #interpreter
  #undefined
  /** @type {WeakMap<Value, string>} */
  #texts = new WeakMap()
  /** @type {Record<'string' | 'boolean' | 'array' | 'object' | 'function', new (value: any) => Value>} */
  #types

  /** @param {Jinja} jinja @param {typeof import('./chat-limits.js').LIMITS} limits
   * @param {import('./chat-guard.js').Guard} guard @param {Date} [now] what strftime_now tells */
  constructor(jinja, limits, guard, now) {
    this.#jinja = jinja
    this.#budget = new Budget(limits)
    this.#guard = guard
    /** @param {unknown} value */
    const typeOf = (value) => new jinja.Environment().set('x', value).constructor
    const [string, boolean, array, object] = ['', true, [], {}].map(typeOf)
    this.#types = { string, boolean, array, object, function: typeOf(range) }
    const scope = new jinja.Environment()
    this.#undefined = scope.lookupVariable('?')
    for (const [name, value] of Object.entries(CONSTANTS)) scope.set(name, value)
    scope.set('range', (/** @type {any[]} */ ...args) => range(limits.items, ...args))
    scope.set('strftime_now', (/** @type {unknown} */ format) => strftime(now ?? new Date(), `${format}`))
    scope.set('raise_exception', (/** @type {unknown} */ message) => {
      throw new ArgumentError(`chat template: ${withoutGuards(`${message}`)}`)
    })
    this.#interpreter = new jinja.Interpreter(scope)
    this.#interpreter.evaluate = (/** @type {Node} */ node, /** @type {any} */ from) => this.#evaluate(node, from)
  }

  /** @param {string} name @param {unknown} value data of the user: all its strings are texts */
  set(name, value) {
    this.#interpreter.global.setVariable(name, this.#valueOf(value, 0))
  }

  /** @param {string} name @param {string} value text of the template's own */
  setOwn(name, value) {
    this.#interpreter.global.setVariable(name, new this.#types.string(value))
  }

  /** @param {Node} program @returns {string} */
  run(program) {
    try {
      return this.#evaluate(program, this.#interpreter.global).value
    } catch (error) {
      throw asOurs(error)
    }
  }

  /** @param {unknown} value @param {number} depth @returns {Value} */
  #valueOf(value, depth) {
    if (depth > DEEPEST) throw new ArgumentError(`messages, tools or options are nested more than ${DEEPEST} deep`)
    if (typeof value === 'string') return this.#text(value)
    if (Array.isArray(value)) return new this.#types.array(value.map((item) => this.#valueOf(item ?? null, depth + 1)))
    if (value && typeof value === 'object') {
      const map = new Map()
      for (const [key, item] of Object.entries(value))
        if (item !== undefined) map.set(this.#guard.guard(key), this.#valueOf(item, depth + 1))
      return new this.#types.object(map)
    }
    if (value !== null && typeof value !== 'number' && typeof value !== 'boolean')
      throw new ArgumentError(`a ${typeof value} in messages, tools or options`)
    return new this.#jinja.Environment().set('x', value)
  }

  /** @param {string} clean @returns {Value} */
  #text(clean) {
    const value = new this.#types.string(this.#guard.guard(clean))
    this.#texts.set(value, clean)
    return value
  }

  /** @param {Value} value @returns {Value} what tests and methods look at */
  #clean(value) {
    const clean = this.#texts.get(value)
    return clean === undefined || clean === value.value ? value : new this.#types.string(clean)
  }

  /** The result of a filter or method: a text if it was one of a text, or has a control token that was not there.
   * @param {Value | undefined} result @param {boolean} isText @param {Value[]} from @returns {Value} */
  #made(result, isText, from) {
    if (typeof result?.value === 'string') {
      const spells = (/** @type {Value} */ { value }) => typeof value === 'string' && this.#guard.spells(value)
      return isText || (spells(result) && !from.some(spells)) ? this.#text(withoutGuards(result.value)) : result
    }
    if (!isText || !Array.isArray(result?.value)) return result ?? this.#undefined
    return new this.#types.array(result.value.map((item) => this.#made(item, isText, from)))
  }

  /** @param {Node} node @param {any} scope @returns {Value} */
  #evaluate(node, scope) {
    if (node?.type === 'Held') return node.value
    this.#budget.enter()
    const isFound = node?.type === 'Identifier' || node?.type === 'MemberExpression'
    const value = this.#step(node, scope) ?? this.#undefined
    return this.#budget.leave(value, !isFound || node.property?.type === 'SliceExpression')
  }

  /** @param {Node} node @param {any} scope @returns {Value} */
  #step(node, scope) {
    switch (node?.type) {
      case 'BinaryExpression':
        return this.#binary(node, scope)
      case 'FilterExpression':
        return this.#filter(this.#evaluate(node.operand, scope), node.filter, scope)
      case 'FilterStatement':
        return this.#filter(this.#evaluate({ type: 'Program', body: node.body }, scope), node.filter, scope)
      case 'MemberExpression':
        return this.#member(node, scope)
      default:
        return this.#plain(node, scope)
    }
  }

  /** As the library does it. @param {Node} node @param {any} scope @returns {Value} */
  #plain(node, scope) {
    return this.#jinja.Interpreter.prototype.evaluate.call(this.#interpreter, node, scope)
  }

  /** @param {Node} node @param {any} scope */
  #binary(node, scope) {
    const operator = node.operator.value
    if (operator === 'and' || operator === 'or') return this.#plain(node, scope)
    const left = this.#evaluate(node.left, scope), right = this.#evaluate(node.right, scope)
    if (operator === '~') return new this.#types.string(printed(left) + printed(right))
    if (operator === '+') return this.#plain({ ...node, left: held(left), right: held(right) }, scope)
    const clean = (/** @type {Value} */ value) => this.#clean(value)
    const a = clean(left), b = clean(right)
    const isIn = operator === 'in' || operator === 'not in'
    if (operator === '==') return new this.#types.boolean(equal(a, b, clean))
    if (operator === '!=') return new this.#types.boolean(!equal(a, b, clean))
    if (isIn && Array.isArray(b.value)) {
      const isThere = b.value.some((item) => equal(a, item, clean))
      return new this.#types.boolean(isThere === (operator === 'in'))
    }
    if (typeof a.value === 'string' && typeof b.value === 'string') {
      if (!isIn) return new this.#types.boolean(compare(operator, a.value, b.value))
      this.#budget.checkSearch(b.value, a.value)
    }
    return this.#plain({ ...node, left: held(a), right: held(b) }, scope)
  }

  /** @param {Value} operand @param {Node} filter @param {any} scope */
  #filter(operand, filter, scope) {
    const isCall = filter.type === 'CallExpression'
    const name = (isCall ? filter.callee : filter).value
    /** @type {Value[]} */
    const args = []
    /** @type {Record<string, Value>} */
    const named = {}
    const hold = (/** @type {Node} */ node) => {
      if (/Spread/.test(node.type)) throw new FormatError(`chat template: unpacked arguments of ${name}`)
      const value = this.#evaluate(node.value && node.key ? node.value : node, scope)
      if (node.key) named[node.key.value] = value
      else args.push(value)
      if (/attr$/.test(name)) return node // the library wants to see literals
      return node.key ? { ...node, value: held(value) } : held(value)
    }
    const call = isCall ? { ...filter, args: filter.args.map(hold) } : filter
    const isText = this.#texts.has(operand) && !AS_IT_IS.has(name)
    const on = isText ? this.#clean(operand) : operand
    this.#budget.check(name, on, args, named)
    if (name === 'trim' && typeof on.value === 'string') {
      const trimmed = trim(on.value, args[0]?.value ?? named.chars?.value)
      return this.#made(new this.#types.string(trimmed), isText, [on])
    }
    const result = this.#plain({ type: 'FilterExpression', operand: held(on), filter: call }, scope)
    if (named.ensure_ascii?.value) return new this.#types.string(unescapeGuards(result.value))
    if (AS_IT_IS.has(name)) return result
    return this.#made(result, isText, [...(Array.isArray(on.value) ? on.value : [on]), ...args])
  }

  /** @param {Node} node @param {any} scope */
  #member(node, scope) {
    const object = this.#evaluate(node.object, scope)
    const isComputed = node.computed && node.property.type !== 'SliceExpression'
    const property = isComputed ? held(this.#evaluate(node.property, scope)) : node.property
    const name = isComputed ? property.value.value : property.value
    const isText = this.#texts.has(object)
    const on = this.#clean(object)
    const own = typeof on.value === 'string' ? METHODS.get(name) : undefined
    if (own) {
      const method = (/** @type {Value[]} */ args) => new this.#types.string(own(on.value, ...args.map((arg) => arg.value)))
      return this.#method(name, on, isText, method)
    }
    const result = this.#plain({ ...node, object: held(on), property }, scope)
    if (typeof result.value !== 'function' || on.value?.get?.(name) === result) return this.#made(result, isText, [on])
    return this.#method(name, on, isText, result.value)
  }

  /** @param {string} name @param {Value} on @param {boolean} isText
   * @param {(args: Value[], scope: any) => Value} method */
  #method(name, on, isText, method) {
    return new this.#types.function((/** @type {Value[]} */ passed, /** @type {any} */ scope) => {
      const args = isText ? passed.map((value) => this.#clean(value)) : passed
      this.#budget.check(name, on, args, {})
      return this.#made(method(args, scope), isText, [on, ...args])
    })
  }
}
