// The page without a network. One version is one cache, filled whole or not at all: each file is checked against the
// SHA-256 in precache-list.js, so that a host in the middle of an update cannot make a mixture. Pages are answered from
// the version they began with; a new one waits until the last of them is closed, or until somebody asks for it in the
// only tab. Models that are not part of the page are the package's to keep: requests for them pass.
importScripts('precache-list.js') // gives self.precacheList: { version, files: [address, base64 SHA-256][] }

const prefix = 'reprise-page '
const { version, files } = self.precacheList
const name = prefix + version

/** Addresses in the list begin at the folder above this one. */
const integrity = new Map(files.map(([address, hash]) => (
  [new URL(`../${address}`, self.location).href, `sha256-${hash}`])))
const page = new URL('index.html', self.location).href
const folder = new URL('./', self.location).href

/** @param {string} url @returns {Promise<Response>} the file of this version, or an error */
async function fetchChecked(url) {
  const response = await fetch(url, { cache: 'no-cache', integrity: integrity.get(url), credentials: 'same-origin' })
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  // A host may redirect index.html to its folder: what says that it was redirected is refused as an answer to a navigation.
  return response.redirected ? new Response(response.body, response) : response
}

async function install() {
  const filling = await caches.open(name)
  try {
    const queue = [...integrity.keys()]
    const fetchNext = async () => {
      for (let url; (url = queue.shift());) await filling.put(url, await fetchChecked(url))
    }
    await Promise.all([fetchNext(), fetchNext(), fetchNext(), fetchNext()])
  } catch (error) {
    await caches.delete(name)
    throw error
  }
}

async function dropOthers() {
  const others = (await caches.keys()).filter((other) => other.startsWith(prefix) && other !== name)
  await Promise.all(others.map((other) => caches.delete(other)))
}

/** The part of a file that was asked for, as a server would give it.
 * @param {Response} response @param {string} header */
async function partOf(response, header) {
  const [, from, to] = header.match(/^bytes=(\d+)-(\d*)$/) ?? []
  const whole = await response.blob(), end = whole.size - 1
  const first = Number(from), last = to ? Math.min(Number(to), end) : end
  if (from === undefined) return new Response(whole, { headers: response.headers })
  if (first > last) return new Response(null, { status: 416, headers: { 'Content-Range': `bytes */${whole.size}` } })
  const headers = new Headers(response.headers)
  headers.set('Content-Range', `bytes ${first}-${last}/${whole.size}`)
  headers.set('Content-Length', String(last - first + 1))
  return new Response(whole.slice(first, last + 1), { status: 206, headers })
}

/** @param {Request} request @param {string} url */
async function answer(request, url) {
  const kept = await (await caches.open(name)).match(url, { ignoreVary: true })
  // The browser may have dropped a file: then it has to be the same one again.
  const response = kept ?? await fetchChecked(url)
  const range = request.headers.get('Range')
  return range ? partOf(response, range) : response
}

self.addEventListener('install', (event) => event.waitUntil(install()))
self.addEventListener('activate', (event) => event.waitUntil(dropOthers()))
self.addEventListener('fetch', (event) => {
  const { request } = event
  const bare = request.url.replace(/[?#].*$/, '')
  const url = bare === folder ? page : bare
  if (request.method === 'GET' && integrity.has(url)) event.respondWith(answer(request, url))
})
self.addEventListener('message', (event) => {
  if (event.data !== 'update') return
  event.waitUntil(self.clients.matchAll({ type: 'window', includeUncontrolled: true }).then((windows) => {
    const others = windows.filter(({ url }) => url.startsWith(folder)).length - 1
    if (others > 0) event.ports[0]?.postMessage({ others })
    else return self.skipWaiting()
  }))
})
