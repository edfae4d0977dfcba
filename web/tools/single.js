// Writes one HTML file with page, engine and story model inside, which opens from file:// by double-click:
//
//     node web/tools/single.js OUT.html
//
// What js/lazy/ holds and is only imported when it is needed stays out, and so does the converter: the story model needs none of it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { bundle } from './bundle.js'
import { root } from './site.js'

const read = (file) => readFileSync(join(root, file), 'utf8')
const base64 = (file) => readFileSync(join(root, file)).toString('base64')

function build() {
  const { models } = JSON.parse(read('models/catalogue.json'))
  const { parameters, licence, sharing } = models.find(({ shipped }) => shipped)
  const program = bundle(['js/worker.js', 'web/single/page.js'], /^js\/(lazy\/|convert)/)
  if (/<\/script|<!--/i.test(program)) throw new Error('the program cannot stand inside a script element')
  const parts = {
    style: `\n${read('web/style/base.css')}${read('web/single/page.css')}`, program, boot: read('web/single/boot.js'),
    about: `Reprise, a model of ${parameters}: ${sharing}. ${licence} licence.`,
    wasm: base64('js/wasm/page-simd128.wasm'), model: base64('models/stories.gguf'),
  }
  return read('web/single/page.html').replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name])
}

const out = process.argv[2]
if (!out) throw new Error('where to?')
mkdirSync(dirname(out), { recursive: true })
const html = build()
writeFileSync(out, html)
console.log(`  SINGLE ${out}, ${(html.length / 1e6).toFixed(1)} MB`)
