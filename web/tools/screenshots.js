// Takes the README's pictures of the demo and makes the PNG icons from the SVGs, with Chromium:
//
//     node web/tools/screenshots.js
//
// Seeds are fixed, and one seed gives one text: the pictures change when the page does.
import { mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { open } from '../../tests/browser/lib/browsers.js'
import { shrink } from './png.js'
import { serve } from './serve.js'
import { root } from './site.js'

const port = 8765
const address = `http://localhost:${port}/web/`
const storySeed = 5422
const chatSeed = 92746
const folder = `${root}web/screenshots/`

/** @param {any} page @param {number} seed */
async function tell(page, seed) {
  await page.evaluate((number) => {
    document.getElementById('story-seed').value = number
    document.getElementById('seed-form').requestSubmit()
  }, seed)
  await page.until((number) => document.getElementById('story-status').textContent.includes(`seed ${number} ·`), seed)
}

/** @param {any} browser @param {string} name @param {object} look @param {(page: any) => Promise<unknown>} act */
async function picture(browser, name, look, act) {
  const page = await browser.page()
  await page.page.setViewport({ width: look.width, height: look.height })
  await page.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: look.dark ? 'dark' : 'light' }])
  await page.goto(address)
  await page.until(() => / · /.test(document.getElementById('story-status').textContent))
  const clip = await act(page)
  if (!clip) await sleep(400)
  writeFileSync(`${folder}${name}.png`, shrink(await page.page.screenshot({ clip: clip || undefined })))
  await page.evaluate(() => localStorage.clear())
  await page.close()
  console.log(`  PNG   web/screenshots/${name}.png`)
}

async function tokens(page) {
  await tell(page, storySeed)
  await page.click('#story-shade')
  await page.evaluate(() => {
    const spans = [...document.querySelectorAll('.made span')]
    const unlikely = spans.filter(({ dataset }) => dataset.shade >= 4)
    unlikely[1].focus()
  })
}

async function score(page) {
  await page.click('#slow')
  await page.click('#story-tell')
  await page.until(() => /block 1 for the 2nd/.test(document.getElementById('score-caption').textContent))
  const box = await page.evaluate(() => document.querySelector('aside section').getBoundingClientRect().toJSON())
  return { x: box.x - 24, y: box.y - 20, width: box.width + 48, height: box.height + 40 }
}

async function chat(page) {
  await page.click('#tab-chat')
  await page.click('#chat-offer-button')
  await page.until(() => !document.getElementById('picker-load').disabled)
  await page.click('#picker-load')
  await page.until(() => document.getElementById('model-name').textContent.startsWith('SmolLM2'))
  await sleep(500)
  await page.until(() => document.getElementById('progress').hidden)
  const answered = () => !!document.querySelector('.message:last-child .foot button')
  for (const text of ['Why is the sky blue? In one sentence, please.', 'And why is it red in the evening?']) {
    await page.evaluate((question) => {
      document.getElementById('composer').value = question
      document.getElementById('chat-form').requestSubmit()
    }, text)
    await sleep(300)
    await page.until(answered)
    await page.evaluate((number) => {
      document.getElementById('chat-seed').value = number
      document.getElementById('chat-seed-form').requestSubmit()
    }, chatSeed)
    await sleep(300)
    await page.until(answered)
  }
}

async function icons(browser) {
  const wanted = [['icon-192', 'icon', 192], ['icon-512', 'icon', 512], ['icon-maskable', 'icon-maskable', 512]]
  for (const [name, source, size] of wanted) {
    const page = await browser.page()
    await page.page.setViewport({ width: size, height: size })
    await page.goto(`${address}icons/${source}.svg`)
    await page.page.screenshot({ path: `${root}web/icons/${name}.png`, omitBackground: true })
    await page.close()
  }
}

const server = await serve(port)
const browser = await open('chromium')
try {
  mkdirSync(folder, { recursive: true })
  await icons(browser)
  const desktop = { width: 1100, height: 790 }
  await picture(browser, 'story', desktop, (page) => tell(page, storySeed))
  await picture(browser, 'phone', { width: 390, height: 844 }, (page) => tell(page, storySeed))
  await picture(browser, 'tokens', { ...desktop, dark: true }, tokens)
  await picture(browser, 'score', desktop, score)
  await picture(browser, 'chat', { ...desktop, dark: true }, chat)
} finally {
  await browser.close()
  server.close()
  server.closeAllConnections()
}
