// Puts modules into one function, for the single file: no module, worker or Blob can be imported by a page from file://
// in every browser. It is no general bundler: it reads the forms of import and export that this repository uses, and
// stops at others. Each module becomes a function that is run when it is first needed; what it exports are getters.
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { root } from './site.js'

const resolve = (file, specifier) => relative(root, join(root, dirname(file), specifier))
const names = (list) => list.split(',').map((part) => part.trim().split(/\s+as\s+/)).filter(([name]) => name)

/** @param {string[]} entries addresses of modules @param {RegExp} left those that are not taken, when imported late
 * @returns {string} a function that gives a function from an address to what the module exports */
export function bundle(entries, left) {
  /** @type {Map<string, { code: string, exported: Set<string>, asked: Set<string> }>} */
  const modules = new Map()

  function add(file) {
    const known = modules.get(file)
    if (known) return known
    const module = { code: '', exported: new Set(), asked: new Set() }
    modules.set(file, module)
    const need = (specifier) => `need('${resolve(file, specifier)}')`
    const link = (_, list, specifier) => {
      const target = add(resolve(file, specifier))
      for (const [name] of names(list)) target.asked.add(name)
      return `const { ${names(list).map((pair) => pair.join(': ')).join(', ')} } = ${need(specifier)}`
    }
    module.code = readFileSync(join(root, file), 'utf8').replace(/\/\*\*[^]*?\*\//g, '')
      .replace(/^import \{([^}]*)\} from '(\.[^']+)'/gm, link)
      .replace(/^import '(\.[^']+)'/gm, (_, specifier) => (add(resolve(file, specifier)), need(specifier)))
      .replace(/^export \{([^}]*)\} from '(\.[^']+)'/gm, link)
      .replace(/^export \{[^}]*\}$/gm, '')
      .replace(/^export ((?:async )?function\*?|class|const) (\w+)/gm, (_, kind, name) => {
        module.exported.add(name)
        return `${kind} ${name}`
      })
      .replace(/\bimport\('(\.[^']+)'\)/g, (all, specifier) => {
        if (left.test(resolve(file, specifier))) return all
        add(resolve(file, specifier))
        return `Promise.resolve().then(() => ${need(specifier)})`
      })
      // An address to resolve others from; nothing is fetched there.
      .replaceAll('import.meta.url', `'https://file.invalid/${file}'`)
    const unread = module.code.match(/^(import|export)\b.*/m)
    if (unread) throw new Error(`${file}: ${unread[0]}`)
    return module
  }

  for (const entry of entries) add(entry)
  const functions = [...modules].map(([file, { code, exported, asked }]) => {
    const getters = [...new Set([...exported, ...asked])].map((name) => `get ${name}() { return ${name} }`)
    return `'${file}'(give, need) {\ngive({ ${getters.join(', ')} })\n${code}\n}`
  })
  return `function program() {
  'use strict'
  const made = {}
  const modules = {\n${functions.join(',\n')}\n}
  return function need(name) {
    if (!made[name]) modules[name]((exports) => { made[name] = exports }, need)
    return made[name]
  }
}`
}
