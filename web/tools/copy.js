// Copies the pages, the package and the shipped models into a folder that any static host can serve, with the list of
// files that the service worker wants:
//
//     node web/tools/copy.js OUT
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileAt, listAddress, precacheList, siteFiles } from './site.js'

const out = process.argv[2]
if (!out) throw new Error('where to?')
rmSync(out, { recursive: true, force: true })
const files = [...siteFiles(), 'models/smollm2.gguf'].filter((file) => fileAt(file))
for (const file of files) {
  const to = join(out, file)
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(/** @type {string} */ (fileAt(file)), to)
}
writeFileSync(join(out, listAddress), precacheList())
const door = '<!doctype html>\n<title>Reprise</title>\n<meta http-equiv="refresh" content="0; url=web/">\n'
writeFileSync(join(out, 'index.html'), door)
console.log(`  SITE  ${out}, ${files.length + 2} files`)
