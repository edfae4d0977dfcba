// The page of the single file: a prompt, a story, a seed.
import { Model } from '../../js/index.js'

/** @type {any} */
const { model: file, wasm, workerUrl } = /** @type {any} */ (self).packed
/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id)
const prompt = byId('prompt'), seed = byId('seed'), story = byId('story'), status = byId('status'), tell = byId('tell')

/** @type {AbortController | null} */
let running = null

/** @param {any} model @param {number} number */
async function tellStory(model, number) {
  const abort = running = new AbortController(), session = model.session({ chat: false })
  tell.textContent = 'Stop'
  seed.value = number
  story.textContent = prompt.value
  status.textContent = ''
  try {
    const input = prompt.value || { ids: [model.info.bos] }
    const stream = session.stream(input, { seed: number, temperature: 0.7, signal: abort.signal })
    stream.result.catch(() => {})
    try {
      for await (const text of stream) story.append(text)
    } catch (error) {
      if (!abort.signal.aborted) throw error
    }
    const { usage, timings } = await stream.result
    const perSecond = Math.round(usage.completionTokens / timings.decodeMs * 1000)
    status.textContent = `${usage.completionTokens} tokens, ${perSecond} a second`
  } catch (error) {
    status.textContent = String(error)
  } finally {
    session.destroy()
    running = null
    tell.textContent = 'Tell a story'
  }
}

const draw = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1e6

async function start() {
  try {
    const model = await Model.load(file, { wasm, workerUrl, context: 512, cache: false })
    await model.ready
    tell.disabled = false
    byId('form').addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault()
      if (running) running.abort()
      else tellStory(model, draw())
    })
    prompt.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      event.preventDefault()
      if (!running) tellStory(model, draw())
    })
    seed.addEventListener('change', () => !running && tellStory(model, Number(seed.value) || 0))
    await tellStory(model, draw())
  } catch (error) {
    status.textContent = String(error)
  }
}

start()
