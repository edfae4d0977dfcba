// Registers the service worker once the page has nothing more urgent to do, and offers a new version when one waits.
import { byId } from './dom.js'

/** @param {ServiceWorkerRegistration} registration */
function offerUpdate(registration) {
  const notice = byId('update'), text = byId('update-text')
  notice.hidden = false
  byId('update-button').onclick = () => {
    const channel = new MessageChannel()
    channel.port1.onmessage = ({ data }) => {
      const others = data.others === 1 ? 'tab' : `${data.others} tabs`
      text.textContent = `A new version is ready. Close the other ${others} of this page first.`
    }
    navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true })
    registration.waiting?.postMessage('update', [channel.port2])
  }
}

/** @param {(message: string) => void} say */
export async function keepOffline(say) {
  if (!navigator.serviceWorker) return
  try {
    const { serviceWorker } = navigator
    const registration = await serviceWorker.register(new URL('../sw.js', import.meta.url), { updateViaCache: 'none' })
    const watch = () => registration.installing?.addEventListener('statechange', () => {
      if (registration.waiting && serviceWorker.controller) offerUpdate(registration)
      else if (registration.active && !serviceWorker.controller) say('This page now also works without a network.')
    })
    if (registration.waiting) offerUpdate(registration)
    registration.addEventListener('updatefound', watch)
    watch()
  } catch {
    // Hosts without HTTPS, private windows, a copy without the list of files: the page works, only not offline.
  }
}
