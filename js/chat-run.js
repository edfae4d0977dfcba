// One rendering of a chat template by @huggingface/jinja, whose interpreter is made to
// - end: see chat-limits.js;
// - keep the text of messages apart (chat-values.js): tests, methods and filters see a text without its guards, as in
//   Python, and what they make of it is a text again, guarded anew; whatever else the library does with it sees guards.
//   So what cannot be followed is guarded, and a template that cuts or joins texts makes no control token of them. (One
//   that writes `'<|' ~ role ~ '|>'` means to.)
// - answer as Python's Jinja where the library does not: see chat-python.js.
import { GUARD, withoutGuards } from './chat-guard.js'
import { Budget } from './chat-limits.js'
import { compare, equal, lengthOf, METHODS, printed, range, strftime } from './chat-python.js'
import { Values } from './chat-values.js'
import { ArgumentError, FormatError } from './errors.js'

const AS_IT_IS = new Set(['tojson', 'safe', 'default', 'string', 'list']) // filters that do not look into a text
const SILENT = new Set(['Set', 'Macro', 'Comment']) // statements that write nothing
const CONSTANTS = { true: true, false: false, none: null, True: true, False: false, None: null }

/** @typedef {import('./chat-limits.js').Value} Value */
/** Of the library's syntax tree; a `Held` one stands for a value.
 * @typedef {{ type: string, [key: string]: any }} Node */
/** The library. @typedef {{ Environment: any, Interpreter: any, tokenize: any, parse: any }} Jinja */

/** Every error of a template is a FormatError; a conversation that it refuses is an ArgumentError.
 * @param {any} error */
function asOurs(error) {
  if (error instanceof FormatError || error instanceof ArgumentError) return error
  return new FormatError(`chat template: ${error?.message ?? error}`)
}

/** `break` or `continue`, with what was written in the turn of the loop before it. */
class Jump {
  message = 'break or continue outside of a loop'
  text = ''
  /** @param {boolean} isBreak */
  constructor(isBreak) {
    this.isBreak = isBreak
  }
}

/** JSON in ASCII has guards escaped. @param {string} json */
const unescapeGuards = (json) => json.replace(/\\(?:ufdd0|.)/g, (escape) => (escape === '\\ufdd0' ? GUARD : escape))

/** @param {Value} value @returns {Node} */
const held = (value) => ({ type: 'Held', value })

export class Run {
  #jinja
  #budget
  #values
  #types
  #interpreter

  /** @param {Jinja} jinja @param {typeof import('./chat-limits.js').LIMITS} limits
   * @param {import('./chat-guard.js').Guard} guard @param {Date} [now] what strftime_now tells */
  constructor(jinja, limits, guard, now) {
    this.#jinja = jinja
    this.#budget = new Budget(limits)
    this.#values = new Values(jinja, guard)
    this.#types = this.#values.types
    const scope = new jinja.Environment()
    for (const [name, value] of Object.entries(CONSTANTS)) scope.set(name, value)
    scope.set('range', (/** @type {any[]} */ ...args) => range(limits.items, ...args))
    scope.set('strftime_now', (/** @type {unknown} */ format) => strftime(now ?? new Date(), `${format}`))
    scope.set('raise_exception', (/** @type {unknown} */ message) => {
      throw new ArgumentError(`chat template: ${withoutGuards(`${message}`)}`)
    })
    this.#interpreter = new jinja.Interpreter(scope)
    this.#interpreter.evaluate = (/** @type {Node} */ node, /** @type {any} */ from) => this.#evaluate(node, from)
    this.#interpreter.evaluateBlock = (/** @type {Node[]} */ body, /** @type {any} */ from) => this.#block(body, from)
  }

  /** @param {string} name @param {unknown} value data of the user: all its strings are texts */
  set(name, value) {
    this.#interpreter.global.setVariable(name, this.#values.valueOf(value, 0))
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

  /** @param {Node} node @param {any} scope @returns {Value} */
  #evaluate(node, scope) {
    if (node?.type === 'Held') return node.value
    this.#budget.enter()
    const isFound = node?.type === 'Identifier' || node?.type === 'MemberExpression'
    const value = this.#step(node, scope) ?? this.#values.nothing
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
      case 'For':
        return this.#loop(node, scope)
      case 'Break':
      case 'Continue':
        throw new Jump(node.type === 'Break')
      default:
        return this.#plain(node, scope)
    }
  }

  /** As the library does it. @param {Node} node @param {any} scope @returns {Value} */
  #plain(node, scope) {
    return this.#jinja.Interpreter.prototype.evaluate.call(this.#interpreter, node, scope)
  }

  /** @param {Node[]} body @param {any} scope @returns {Value} */
  #block(body, scope) {
    let text = ''
    for (const node of body) {
      try {
        const value = this.#evaluate(node, scope)
        if (!SILENT.has(node.type)) text += printed(value)
      } catch (error) {
        if (error instanceof Jump) error.text = text + error.text
        throw error
      }
    }
    return new this.#types.string(text)
  }

  /** Each turn has variables of its own. @param {Node} node @param {any} scope */
  #loop(node, scope) {
    const { iterable, loopvar } = node
    const isSelective = iterable.type === 'SelectExpression'
    const all = this.#items(this.#evaluate(isSelective ? iterable.lhs : iterable, scope))
    const turn = (/** @type {Value} */ item) => {
      this.#budget.step()
      const inner = new this.#jinja.Environment(scope)
      const names = loopvar.type === 'TupleLiteral' ? loopvar.value : [loopvar]
      const values = loopvar.type === 'TupleLiteral' ? item.value : [item]
      if (!Array.isArray(values) || values.length !== names.length)
        throw new FormatError(`chat template: an item of a loop is not ${names.length} values`)
      for (const [i, { value: name }] of names.entries()) inner.setVariable(name, values[i])
      return inner
    }
    const items = isSelective ? all.filter((item) => this.#isTrue(iterable.test, turn(item))) : all
    if (!items.length) return this.#block(node.defaultBlock, scope)
    const { depth } = this.#budget
    let text = ''
    for (const [i, item] of items.entries()) {
      const inner = turn(item)
      inner.setVariable('loop', this.#loopVariable(items, i))
      try {
        text += this.#block(node.body, inner).value
      } catch (error) {
        if (!(error instanceof Jump)) throw error
        this.#budget.backTo(depth)
        text += error.text
        if (error.isBreak) break
      }
    }
    return new this.#types.string(text)
  }

  /** @param {Node} test @param {any} scope @returns {boolean} */
  #isTrue(test, scope) {
    const value = /** @type {any} */ (this.#evaluate(test, scope))
    return value.__bool__().value
  }

  /** @param {Value} value @returns {Value[]} */
  #items({ value, type }) {
    if (Array.isArray(value)) return value
    if (type === 'ObjectValue') return Array.from(value.keys(), (key) => new this.#types.string(key))
    if (type === 'UndefinedValue') return []
    throw new FormatError(`chat template: a loop over a ${type}`)
  }

  /** @param {Value[]} items @param {number} i */
  #loopVariable(items, i) {
    const { integer, boolean, object, method } = this.#types
    const left = items.length - i
    return new object(new Map([
      ['index', new integer(i + 1)], ['index0', new integer(i)], ['length', new integer(items.length)],
      ['revindex', new integer(left)], ['revindex0', new integer(left - 1)],
      ['first', new boolean(i === 0)], ['last', new boolean(left === 1)],
      ['previtem', items[i - 1] ?? this.#values.nothing], ['nextitem', items[i + 1] ?? this.#values.nothing],
      ['cycle', new method((/** @type {Value[]} */ values) => values[i % values.length])],
    ]))
  }

  /** @param {Node} node @param {any} scope */
  #binary(node, scope) {
    const operator = node.operator.value
    if (operator === 'and' || operator === 'or') return this.#plain(node, scope)
    const left = this.#evaluate(node.left, scope), right = this.#evaluate(node.right, scope)
    if (operator === '~') return new this.#types.string(printed(left) + printed(right))
    if (operator === '+') return this.#plain({ ...node, left: held(left), right: held(right) }, scope)
    if (operator === '%' && left.type === 'IntegerValue' && right.type === 'IntegerValue')
      return new this.#types.integer(left.value - right.value * Math.floor(left.value / right.value))
    const clean = (/** @type {Value} */ value) => this.#values.clean(value)
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
    const alias = isCall ? filter.callee : filter
    const name = alias.value === 'd' ? 'default' : alias.value
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
    const callee = { ...alias, value: name }
    const passed = (filter.args ?? []).map(hold)
    const call = isCall || name === 'default' ? { type: 'CallExpression', callee, args: passed } : filter
    const isText = this.#values.isText(operand) && !AS_IT_IS.has(name)
    const on = isText ? this.#values.clean(operand) : operand
    this.#budget.check(name, on, args, named)
    const own = typeof on.value === 'string' ? METHODS.get(name === 'trim' ? 'strip' : name) : undefined
    if (own) return this.#values.made(new this.#types.string(own(on.value, args[0]?.value)), isText, [on])
    if (name === 'length' && typeof on.value === 'string') return new this.#types.integer(lengthOf(on.value))
    if (name === 'string' && typeof on.value !== 'string') return new this.#types.string(printed(on))
    const result = this.#plain({ type: 'FilterExpression', operand: held(on), filter: call }, scope)
    if (named.ensure_ascii?.value) return new this.#types.string(unescapeGuards(result.value))
    if (AS_IT_IS.has(name)) return result
    return this.#values.made(result, isText, [...(Array.isArray(on.value) ? on.value : [on]), ...args])
  }

  /** @param {Node} node @param {any} scope */
  #member(node, scope) {
    const object = this.#evaluate(node.object, scope)
    const isComputed = node.computed && node.property.type !== 'SliceExpression'
    const property = isComputed ? held(this.#evaluate(node.property, scope)) : node.property
    const name = isComputed ? property.value.value : property.value
    const isText = this.#values.isText(object)
    const on = this.#values.clean(object)
    const own = typeof on.value === 'string' ? METHODS.get(name) : undefined
    if (own) {
      const method = (/** @type {Value[]} */ args) => new this.#types.string(own(on.value, args[0]?.value))
      return this.#method(name, on, isText, method)
    }
    const result = this.#plain({ ...node, object: held(on), property }, scope)
    const isOwn = on.value instanceof Map && on.value.get(name) === result
    if (isOwn || typeof result.value !== 'function') return this.#values.made(result, isText, [on])
    return this.#method(name, on, isText, result.value)
  }

  /** @param {string} name @param {Value} on @param {boolean} isText
   * @param {(args: Value[], scope: any) => Value} method */
  #method(name, on, isText, method) {
    return new this.#types.method((/** @type {Value[]} */ passed, /** @type {any} */ scope) => {
      const args = isText ? passed.map((value) => this.#values.clean(value)) : passed
      this.#budget.check(name, on, args, {})
      return this.#values.made(method(args, scope), isText, [on, ...args])
    })
  }
}
