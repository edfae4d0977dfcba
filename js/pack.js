// Makes the npm package out of this folder: scripts without their comments, everything else as it is. The comments are a third of
// what a page would download; the types keep theirs. Usage: node js/pack.js FOLDER, after `make wasm`.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from '../tests/node_modules/typescript/lib/typescript.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const target = process.argv[2]
const { files } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'))
const UNTOUCHED = /^(lazy|wasm|bin)\b/ // other people's files, and the terminal program, which nobody downloads by the page

/** @param {string} script */
function withoutComments(script) {
  const options = { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, removeComments: true }
  return ts.transpileModule(script, { compilerOptions: options }).outputText
}

/** Files of the package, as npm would find them by `files`. */
const listed = readdirSync(here, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(here.length))
  .filter((name) => files.some((/** @type {string} */ file) => (file === '*.js' ? /^[^/]+\.js$/.test(name) : name === file || name.startsWith(`${file}/`))))
  .filter((name) => name !== 'pack.js')

rmSync(target, { recursive: true, force: true })
for (const name of ['package.json', 'README.md', ...listed]) {
  const to = join(target, name)
  mkdirSync(dirname(to), { recursive: true })
  if (name.endsWith('.js') && !UNTOUCHED.test(name)) writeFileSync(to, withoutComments(readFileSync(join(here, name), 'utf8')))
  else cpSync(join(here, name), to)
}
cpSync(join(here, '../LICENSE'), join(target, 'LICENSE'))
