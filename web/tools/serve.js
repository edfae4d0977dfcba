// A small static server for the pages: ranges, entity tags, right types, the strict content security policy that the
// pages are written for. It answers this machine only and keeps nothing.
//
//     node web/tools/serve.js [PORT]
import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { fileAt, listAddress, precacheList } from './site.js'

const types = {
  html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8',
  json: 'application/json', webmanifest: 'application/manifest+json', svg: 'image/svg+xml', png: 'image/png',
  wasm: 'application/wasm', txt: 'text/plain; charset=utf-8',
}

/** Models may come from anywhere, scripts and all else only from here. */
const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' https: http:"

/** The page that measures is isolated, so that it has threads. Other pages show that they need no headers. */
const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }
const isIsolated = (address) => !address.endsWith('.html') || address === 'web/bench.html' // and scripts, for its workers

/** @param {string | undefined} header @param {number} size
 * @returns {[number, number] | undefined | null} null: there is no such range */
function rangeOf(header, size) {
  const [, from, to] = header?.match(/^bytes=(\d*)-(\d*)$/) ?? []
  if (from === undefined || from + to === '') return undefined
  const first = from ? Number(from) : Math.max(0, size - Number(to))
  const last = from && to ? Math.min(Number(to), size - 1) : size - 1
  return first <= last ? [first, last] : null
}

function sendText(response, status, text, headers = {}) {
  response.writeHead(status, { 'Content-Type': types.txt, 'Cache-Control': 'no-cache', ...headers })
  response.end(text)
}

function sendFile(request, response, path, address) {
  const { size, mtimeMs } = statSync(path)
  const etag = `"${size.toString(36)}-${Math.round(mtimeMs).toString(36)}"`
  const headers = {
    'Content-Type': types[address.split('.').pop()] ?? 'application/octet-stream', ETag: etag, 'Accept-Ranges': 'bytes',
    'Cache-Control': 'no-cache', 'X-Content-Type-Options': 'nosniff',
    ...(address.endsWith('reprise-story.html') ? {} : { 'Content-Security-Policy': policy }),
    ...(isIsolated(address) ? isolation : {}),
  }
  if (request.headers['if-none-match'] === etag) return response.writeHead(304, headers).end()
  const wanted = request.headers['if-range'] && request.headers['if-range'] !== etag ? undefined : request.headers.range
  const range = rangeOf(wanted, size)
  if (range === null) return response.writeHead(416, { ...headers, 'Content-Range': `bytes */${size}` }).end()
  const [start, end] = range ?? [0, size - 1]
  response.writeHead(range ? 206 : 200, {
    ...headers, 'Content-Length': size ? end - start + 1 : 0,
    ...(range ? { 'Content-Range': `bytes ${start}-${end}/${size}` } : {}),
  })
  if (request.method === 'HEAD' || size === 0) return response.end()
  const stream = createReadStream(path, { start, end })
  response.on('close', () => stream.destroy())
  stream.on('error', () => response.destroy()).pipe(response)
}

/** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
export function answer(request, response) {
  if (!['GET', 'HEAD'].includes(request.method ?? ''))
    return sendText(response, 405, 'GET and HEAD only\n', { Allow: 'GET, HEAD' })
  let address
  try {
    address = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname).slice(1)
  } catch {
    return sendText(response, 400, 'not an address\n')
  }
  if (address === '') return sendText(response, 302, 'web/\n', { Location: '/web/' })
  if (address.endsWith('/')) address += 'index.html'
  if (address === listAddress)
    return sendText(response, 200, precacheList(), { 'Content-Type': types.js, 'Content-Security-Policy': policy })
  const path = fileAt(address)
  return path ? sendFile(request, response, path, address) : sendText(response, 404, 'no such file\n')
}

/** @param {number} port 0 for any @returns {Promise<import('node:http').Server>} */
export function serve(port, handler = answer) {
  const server = createServer(handler)
  return new Promise((resolve, reject) => {
    server.on('error', reject)
    server.listen(port, 'localhost', () => resolve(server))
  })
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const port = Number(process.argv[2] ?? 8000)
  serve(port).then(
    () => console.log(`Reprise is at http://localhost:${port}/  (Ctrl-C ends it)`),
    (error) => {
      console.error(error.code === 'EADDRINUSE' ? `port ${port} is taken: make serve PORT=8001` : error.message)
      process.exitCode = 1
    },
  )
}
