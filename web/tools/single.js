// Writes one HTML file with page, engine and story model inside, which opens from file:// by double-click:
//
//     node web/tools/single.js OUT.html
//
// The modules go in as text, in an order in which each comes after those that it imports; boot.js turns them into Blobs.
// What js/lazy/ holds and is only imported when it is needed stays out: the story model needs none of it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import process from 'node:process'
import { root } from './site.js'

const read = (file) => readFileSync(join(root, file), 'utf8')
const imports = /(^\s*(?:import|export)\s[^'"]*?from\s*|^\s*import\s*)'(\.{1,2}\/[^']+)'/gm
const lateImports = /\bimport\('(\.{1,2}\/[^']+)'\)/g

/** @param {string[]} entries @returns {Map<string, string>} files and their text, those that are imported at once first */
function collect(entries) {
  const done = new Map(), open = new Set(), late = [...entries]
  const resolve = (file, specifier) => relative(root, join(root, dirname(file), specifier))
  const visit = (file) => {
    if (done.has(file)) return
    if (open.has(file)) throw new Error(`${file} imports itself by way of others`)
    open.add(file)
    const text = read(file).replace(imports, (_, before, specifier) => {
      visit(resolve(file, specifier))
      return `${before}"module:${resolve(file, specifier)}"`
    }).replace(lateImports, (all, specifier) => {
      const target = resolve(file, specifier)
      if (target.startsWith('js/lazy/')) return all
      late.push(target)
      return `import(self.packedModules.get('${target}'))`
    })
    // A Blob's own address is no base for others; nothing is fetched from this one.
    done.set(file, text.replaceAll('import.meta.url', JSON.stringify(`https://file.invalid/${file}`)))
  }
  for (const entry of late) visit(entry)
  return done
}

function build() {
  const modules = [...collect(['js/worker.js', 'web/single/page.js'])].map(([file, text]) => {
    if (/<\/script|<!--/i.test(text)) throw new Error(`${file} cannot stand inside a script element`)
    return `<script type="text/plain" data-module="${file}">\n${text}</script>`
  })
  const { models } = JSON.parse(read('models/catalogue.json'))
  const { parameters, licence, sharing } = models.find(({ shipped }) => shipped)
  const parts = {
    style: `\n${read('web/style/base.css')}${read('web/single/page.css')}`, modules: modules.join('\n'), boot: `\n${read('web/single/boot.js')}`,
    about: `Reprise, a model of ${parameters}: ${sharing}. ${licence} licence.`,
    wasm: readFileSync(join(root, 'js/wasm/page-simd128.wasm')).toString('base64'),
    model: readFileSync(join(root, 'models/stories.gguf')).toString('base64'),
  }
  return read('web/single/page.html').replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name])
}

const out = process.argv[2]
if (!out) throw new Error('where to?')
mkdirSync(dirname(out), { recursive: true })
const html = build()
writeFileSync(out, html)
console.log(`  SINGLE ${out}, ${(html.length / 1e6).toFixed(1)} MB`)
