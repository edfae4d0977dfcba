// Makes a screenshot small: a PNG of 24-bit colours in, the same with a palette of its 256 commonest colours out. Pages
// have few colours, the rest are edges of letters, for which the nearest of the palette does.
import { deflateSync, inflateSync } from 'node:zlib'

const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10])

const crcTable = Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1
  return n >>> 0
})
const step = (sum, byte) => crcTable[(sum ^ byte) & 255] ^ (sum >>> 8)
const crc = (bytes) => (bytes.reduce(step, 0xffffffff) ^ 0xffffffff) >>> 0

/** @param {string} type @param {Buffer} data */
function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]), frame = Buffer.alloc(8)
  frame.writeUInt32BE(data.length, 0)
  frame.writeUInt32BE(crc(body), 4)
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)])
}

/** @param {Buffer} png */
function chunksOf(png) {
  const chunks = []
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at)
    chunks.push({ type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) })
    at += 12 + length
  }
  return chunks
}

/** Of the left, the upper and the upper left neighbour, the one that is nearest to what the three foretell. */
function paeth(a, b, c) {
  const p = a + b - c, pa = Math.abs(p - a), pb = Math.abs(p - b), pc = Math.abs(p - c)
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c
}

/** Rows of 8-bit samples, filters undone.
 * @param {Buffer} raw @param {number} row bytes @param {number} step of a pixel */
function unfilter(raw, row, step) {
  const rows = raw.length / (row + 1), out = Buffer.alloc(rows * row)
  for (let y = 0; y < rows; y++) {
    const filter = raw[y * (row + 1)]
    for (let x = 0; x < row; x++) {
      const at = y * row + x, a = x >= step ? out[at - step] : 0, b = y ? out[at - row] : 0
      const c = x >= step && y ? out[at - row - step] : 0
      const foretold = [0, a, b, (a + b) >> 1, paeth(a, b, c)][filter]
      out[at] = raw[y * (row + 1) + 1 + x] + foretold
    }
  }
  return out
}

/** @param {Buffer} pixels @param {number} step @returns {{ palette: number[], indexes: Buffer }} */
function quantize(pixels, step) {
  const counts = new Map(), colours = new Uint32Array(pixels.length / step)
  for (let i = 0; i < colours.length; i++) {
    colours[i] = pixels.readUIntBE(i * step, 3)
    counts.set(colours[i], (counts.get(colours[i]) ?? 0) + 1)
  }
  const palette = [...counts].sort((one, two) => two[1] - one[1]).slice(0, 256).map(([colour]) => colour)
  const parts = (colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]
  const nearest = new Map(palette.map((colour, index) => [colour, index]))
  for (const colour of counts.keys()) if (!nearest.has(colour)) {
    const wanted = parts(colour)
    const distances = palette.map((one) => parts(one).reduce((sum, part, i) => sum + (part - wanted[i]) ** 2, 0))
    nearest.set(colour, distances.indexOf(Math.min(...distances)))
  }
  return { palette, indexes: Buffer.from(Array.from(colours, (colour) => nearest.get(colour))) }
}

/** @param {Uint8Array} bytes of a PNG @returns {Buffer} */
export function shrink(bytes) {
  const chunks = chunksOf(Buffer.from(bytes)), header = Buffer.from(chunks[0].data)
  const width = header.readUInt32BE(0), step = { 2: 3, 6: 4 }[header[9]]
  if (header[8] !== 8 || !step || header[12]) throw new Error('want a PNG of 8-bit RGB, not interlaced')
  const raw = inflateSync(Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data)))
  const { palette, indexes } = quantize(unfilter(raw, width * step, step), step)
  header[9] = 3
  const rows = []
  for (let at = 0; at < indexes.length; at += width) rows.push(Buffer.of(0), indexes.subarray(at, at + width))
  const colours = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]))
  return Buffer.concat([signature, chunk('IHDR', header), chunk('PLTE', colours),
    chunk('IDAT', deflateSync(Buffer.concat(rows), { level: 9 })), chunk('IEND', Buffer.alloc(0))])
}
