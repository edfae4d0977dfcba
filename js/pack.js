// Makes the npm package out of this folder: what a page loads as few and small scripts, each with a map to its sources, and all else
// as it is. Usage: node js/pack.js FOLDER, after `make wasm`.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from '../tests/node_modules/esbuild/lib/main.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const target = process.argv[2]
const { files } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'))

/** Other people's scripts stay as they are, but for the few lines that every page needs of them.
 * @type {import('../tests/node_modules/esbuild/lib/main.js').Plugin} */
const lazy = {
  name: 'lazy',
  setup(build) {
    build.onResolve({ filter: /\/lazy\/(jinja|noble-hashes)\// }, ({ path }) => ({ path: path.replace(/^.*\/lazy\//, './lazy/'), external: true }))
  },
}

/** Scripts that are started from outside; what they import stands in them, or beside them if it is only loaded when it is used.
 * @param {string[]} names @param {string[]} external */
const bundle = (names, external = []) => build({
  entryPoints: names.map((name) => join(here, name)), outdir: target, outbase: here, bundle: true, splitting: true, format: 'esm',
  target: 'es2022', minify: true, sourcemap: true, chunkNames: '[name]-[hash]', logLevel: 'warning',
  plugins: [lazy], external: ['node:*', ...external],
})

rmSync(target, { recursive: true, force: true })
await bundle(['index.js'])
await bundle(['convert.js'], ['./index.js'])
await bundle(['parts.js']) // for bin/
await bundle(['element/index.js'], ['../index.js'])
await bundle(['worker.js', 'thread.js'])
const isScript = (/** @type {string} */ name) => /^(?!lazy|bin).*\.js$/.test(name)
const copied = readdirSync(here, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(here.length))
  .filter((name) => files.includes(name.split('/')[0]) && !isScript(name) && !name.endsWith('.done'))
for (const name of ['package.json', 'README.md', ...copied]) {
  mkdirSync(dirname(join(target, name)), { recursive: true })
  cpSync(join(here, name), join(target, name))
}
cpSync(join(here, '../LICENSE'), join(target, 'LICENSE'))
