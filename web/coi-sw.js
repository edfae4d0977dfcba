// Cross-origin isolation for hosts that cannot set headers: answers a page's requests with COOP, COEP and CORP added,
// so that SharedArrayBuffer exists. Not used by our pages, which need no isolation. To use it, put this file beside a
// page, with the package in a folder below (a service worker does not answer for workers outside of its folder), and
//
//     await navigator.serviceWorker.register('coi-sw.js')
//     if (!crossOriginIsolated && !navigator.serviceWorker.controller) location.reload()
//
// It keeps nothing and works online only. What comes from other origins then needs CORS or CORP of its own.

self.addEventListener('install', () => self.skipWaiting())
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))

/** @param {Response} response */
function isolated(response) {
  if (response.status === 0) return response // opaque: its headers cannot be changed
  const headers = new Headers(response.headers)
  headers.set('Cross-Origin-Opener-Policy', 'same-origin')
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp')
  headers.set('Cross-Origin-Resource-Policy', 'cross-origin')
  const { status, statusText } = response
  return new Response([101, 204, 205, 304].includes(status) ? null : response.body, { status, statusText, headers })
}

self.addEventListener('fetch', (event) => {
  const { request } = event
  // A request of the browser's own that only its cache may answer cannot be repeated from here.
  if (request.cache === 'only-if-cached' && request.mode !== 'same-origin') return
  event.respondWith(fetch(request).then(isolated))
})
