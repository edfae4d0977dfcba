// Something failed: what, its code, and what can be done about it, at the place where it was asked for. Nothing that
// the reader had is taken away.
import { h } from './dom.js'
import { bytes } from './format.js'

const advice = {
  RP_ERR_ARGUMENT: 'Change the value and try again.',
  RP_ERR_FORMAT: 'The file is no whole GGUF model, or not the one that was promised. Fetch it again or pick another.',
  RP_ERR_UNSUPPORTED: 'This version cannot run it. Pick another model, or another browser if it says so.',
  RP_ERR_MEMORY: 'Pick a smaller model or a shorter context, or close other tabs.',
  RP_ERR_IO: 'Check the address and the connection, then try again: what has arrived is kept.',
}

/** @param {any} error */
function adviceFor(error) {
  if (error.status === 404) return 'There is no such file. Check the address.'
  if ([401, 403].includes(error.status)) return 'The server wants to know who asks. Download the file and drop it here.'
  if (error.bytesNeeded) return `It needs ${bytes(error.bytesNeeded)}. ${advice.RP_ERR_MEMORY}`
  return advice[error.code] ?? 'Reload the page if this goes on.'
}

/** Shows an error, in place of one that was shown there before.
 * @param {HTMLElement} place @param {any} error @param {Record<string, () => void>} [actions] label to what it does
 * @param {string} [note] what can be done about it */
export function showFault(place, error, actions = {}, note = adviceFor(error ?? {})) {
  const close = () => place.replaceChildren()
  const buttons = Object.entries({ ...actions, Dismiss: () => {} }).map(([text, action]) => h('button', {
    type: 'button', text, class: 'quiet', on: {
      click: () => {
        close()
        action()
      },
    },
  }))
  place.replaceChildren(h('div', { class: 'fault', role: 'alert' },
    h('p', {}, h('strong', { text: error?.code ?? error?.name ?? 'Error' }), ` ${error?.message ?? error}`),
    h('p', { class: 'note', text: note }),
    h('div', { class: 'row' }, ...buttons)))
}

/** @param {HTMLElement} place */
export const clearFault = (place) => place.replaceChildren()
