// Random tensors in the float types of safetensors. Bytes depend on the seed text, the type and the shape alone: an
// integer generator, and no Math function whose last bit may differ between engines.

/** @typedef {'F32' | 'F16' | 'BF16'} FloatType */

export const FLOAT_BYTES = { F32: 4, F16: 2, BF16: 2 }

/**
 * 32-bit integers (mulberry32) seeded by a text through FNV-1a.
 * @param {string} seed
 * @returns {() => number}
 */
export function generator(seed) {
  let state = 0x811c9dc5
  for (const byte of Buffer.from(seed)) state = Math.imul(state ^ byte, 0x01000193)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

/** The half nearest to `value`, ties to even. @param {number} value */
function halfBits(value) {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const size = Math.abs(value)
  if (size >= 65520) return sign | 0x7c00
  let exponent = -14
  while (exponent < 15 && size >= 2 ** (exponent + 1)) exponent++
  const steps = size / 2 ** (exponent - 10)
  const below = Math.floor(steps)
  const rest = steps - below
  const up = rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0
  return sign | (below + up + (exponent + 14) * 1024)
}

/** The bfloat16 nearest to the float nearest to `value`, ties to even. @param {number} value */
function bfloatBits(value) {
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0]
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
}

/**
 * Uniform values with this mean and standard deviation.
 * @param {string} seed
 * @param {FloatType} type
 * @param {number} count
 * @param {{ mean: number, std: number }} range
 */
export function randomFloats(seed, type, count, { mean, std }) {
  const next = generator(seed)
  const data = Buffer.alloc(count * FLOAT_BYTES[type])
  const reach = std * Math.sqrt(3)
  for (let i = 0; i < count; i++) {
    const value = mean + reach * (next() / 2 ** 31 - 1)
    if (type === 'F32') data.writeFloatLE(value, i * 4)
    else data.writeUInt16LE(type === 'F16' ? halfBits(value) : bfloatBits(value), i * 2)
  }
  return data
}
