// The demo: makes the parts and connects them. The parts do not know each other.
import { caches as modelCache } from '../../js/index.js'
import { Announcer } from './announcer.js'
import { readCatalogue } from './catalogue.js'
import { Chat } from './chat.js'
import { byId } from './dom.js'
import { Drops } from './drops.js'
import { clearFault, showFault } from './faults.js'
import { Figures } from './figures.js'
import { bytes } from './format.js'
import { ModelLoader } from './loader.js'
import { Modes } from './modes.js'
import { keepOffline } from './offline.js'
import { Picker } from './picker.js'
import { Progress } from './progress.js'
import { recall, remember } from './remember.js'
import { Sampling } from './sampling.js'
import { Sharing } from './sharing.js'
import { Story } from './story.js'
import { Writer } from './writer.js'

const announcer = new Announcer(byId('announcer'))
const sharing = new Sharing()
const figures = new Figures()
const writer = new Writer({ sampling: new Sampling(), sharing, figures, announcer })
const story = new Story(writer)
const chat = new Chat(writer)
const modes = new Modes()
const loader = new ModelLoader(() => writer.stop())
const progress = new Progress(() => loader.cancel())
const drops = new Drops()
const picker = new Picker((entry, context) => loader.load(entry, context), () => convert())
const loadFault = byId('load-fault')

/** @type {import('./catalogue.js').Entry[]} */
let catalogue = []

function connectLoader() {
  loader.addEventListener('start', ({ detail: entry }) => {
    clearFault(loadFault)
    progress.start(entry.name)
  })
  loader.addEventListener('progress', ({ detail }) => progress.update(detail))
  loader.addEventListener('warning', ({ detail }) => announcer.say(detail.message))
  loader.addEventListener('cancel', () => progress.end())
  loader.addEventListener('model', useModel)
  loader.addEventListener('ready', () => {
    progress.end()
    figures.model(loader.model)
    remember('model', loader.entry?.id)
  })
  loader.addEventListener('fault', ({ detail: error }) => {
    const entry = loader.pending ?? loader.entry
    progress.end()
    showFault(loadFault, error, {
      ...(entry ? { 'Try again': () => loader.load(entry) } : {}), 'Pick another model': () => picker.open(),
    })
  })
}

async function useModel() {
  const { model, entry } = loader
  await writer.stop()
  byId('model-name').textContent = entry?.name
  byId('model-size').textContent = bytes(model.info.fileBytes)
  figures.model(model)
  sharing.show(model)
  story.use(model)
  chat.use(model)
  if (model.info.chat && entry?.modes?.[0] === 'chat' && recall('mode') !== 'story') modes.show('chat')
  if (modes.current === 'story' && story.empty) story.tell()
}

function connectControls() {
  byId('model-button').addEventListener('click', () => picker.open(loader.entry))
  byId('chat-offer-button').addEventListener('click', () => (
    picker.open(catalogue.find(({ modes: [first] = [] }) => first === 'chat'))))
  modes.addEventListener('change', async () => {
    remember('mode', modes.current)
    await writer.stop()
    if (modes.current === 'chat') story.release()
    else chat.release()
    if (modes.current === 'story' && story.empty) story.tell()
  })
  drops.addEventListener('model', ({ detail: file }) => picker.openFile(file))
  drops.addEventListener('other', ({ detail: dropped }) => convert(dropped))
  const toggles = [byId('story-shade'), byId('chat-shade')]
  const shade = (on) => {
    for (const toggle of toggles) toggle.setAttribute('aria-pressed', on)
    story.shade(on)
    chat.shade(on)
    remember('shade', on)
  }
  for (const toggle of toggles)
    toggle.addEventListener('click', () => shade(toggle.getAttribute('aria-pressed') !== 'true'))
  shade(recall('shade', false))
  writer.addEventListener('state', () => document.body.classList.toggle('busy', writer.busy))
}

/** The dialog that converts, which is fetched when it is wanted. @type {Promise<import('./convert.js').Converter> | undefined} */
let converter

/** @param {import('./drops.js').Dropped} [dropped] */
async function convert(dropped) {
  converter ??= import('./convert.js').then(({ Converter }) => new Converter((file) => picker.openFile(file)))
  try {
    byId('picker').close()
    ;(await converter).open(dropped)
  } catch (error) {
    converter = undefined
    showFault(loadFault, error, { 'Try again': () => convert(dropped) })
  }
}

/** The model of the last visit if it is here whole, else the one that comes with the page: nothing large unasked. */
async function firstModel() {
  const wanted = catalogue.find(({ id }) => id === recall('model'))
  if (!wanted || wanted.shipped) return catalogue[0]
  const kept = await modelCache.list().catch(() => [])
  return kept.some(({ url, complete }) => complete && url === wanted.source) ? wanted : catalogue[0]
}

async function start() {
  connectLoader()
  connectControls()
  modes.show(recall('mode', 'story'))
  try {
    catalogue = await readCatalogue()
    picker.offer(catalogue)
    await loader.load(await firstModel())
  } catch (error) {
    showFault(loadFault, error, { 'Try again': () => location.reload() })
  }
  keepOffline((message) => {
    byId('offline').textContent = message
  })
}

start()
