// The converter's door ('reprise/convert'): Hugging Face folders, llama2.c checkpoints and GGUF files into a GGUF file. A worker of its own
// converts (convert-run.js); here its input is described, its output is put in place, and both are tidied up when it ends
// otherwise. See convert.d.ts.
import { describeInput, readTokenizer } from './convert-input.js'
import { placeFor } from './convert-output.js'
import { ArgumentError, Model } from './index.js'

const DISK_FROM = 2 ** 28 // bytes of input whose output is put on disk where there is one

/** What the worker wants; functions, signals and files stay here. @param {any} options */
function forWorker({ type, headType, layers, unroll = false, dedup = false }) {
  for (const [name, value] of Object.entries({ type, headType, layers }))
    if (value !== undefined && (typeof value !== 'string' || !value || value.includes('\0')))
      throw new ArgumentError(`${name} is ${JSON.stringify(value)}, want a text`)
  for (const [name, value] of Object.entries({ unroll, dedup }))
    if (typeof value !== 'boolean') throw new ArgumentError(`${name} is ${value}, want true or false`)
  return { type, headType, layers, unroll, dedup }
}

/** @param {any} input @param {any} [options] */
export async function convert(input, { signal, workerUrl, wasm, onProgress, output, tokenizer, diskFrom = DISK_FROM, ...rest } = {}) {
  signal?.throwIfAborted()
  const options = forWorker(rest)
  const { files, total } = await describeInput(input)
  const vocabulary = tokenizer === undefined ? undefined : await readTokenizer(tokenizer)
  signal?.throwIfAborted()
  const place = await placeFor(output, files, total >= diskFrom, vocabulary?.name)
  /** @type {import('./channel.js').Channel | undefined} */
  let channel
  try {
    channel = await Model.connect(workerUrl, {}, signal)
    const params = { input: files, output: place.spec, tokenizer: vocabulary, options, wasm }
    const { blob, ...facts } = await channel.call('convert', params, { signal, on: { progress: onProgress } })
    return { ...facts, ...(await place.keep(blob)) }
  } catch (error) {
    channel?.close(error)
    await place.drop()
    throw error
  } finally {
    channel?.close(new ArgumentError('the conversion has ended'))
  }
}
