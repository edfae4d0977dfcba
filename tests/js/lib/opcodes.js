// Counts the instructions of a WebAssembly module's functions, by an exact walk over its code: bytes that only look like an
// opcode inside of a constant are not counted. https://webassembly.github.io/spec/core/binary/ and the threads proposal.

class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  byte() {
    if (this.at >= this.bytes.length) throw new Error('the module ends too early');
    return this.bytes[this.at++];
  }
  /** An unsigned LEB128 below 2^53. */
  leb() {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }
  skip(count) {
    this.at += count;
  }
  /** A signed one, whose value nobody asks for. */
  skipLeb() {
    while (this.byte() >= 128);
  }
  memarg() {
    if (this.leb() & 64) this.leb(); // alignment, and a memory when there are several
    this.leb();
  }
}

const count = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const NONE = [0x00, 0x01, 0x05, 0x0b, 0x0f, 0x1a, 0x1b, ...count(0x45, 0xc4), 0xd1];
const ONE_INDEX = [0x0c, 0x0d, 0x10, 0x12, ...count(0x20, 0x26), 0xd2];

/** Reads what follows an opcode. @type {Record<number, (r: Reader) => void>} */
const immediates = {
  ...Object.fromEntries(NONE.map((opcode) => [opcode, () => {}])),
  ...Object.fromEntries(ONE_INDEX.map((opcode) => [opcode, (r) => r.leb()])),
  ...Object.fromEntries(count(0x28, 0x3e).map((opcode) => [opcode, (r) => r.memarg()])),
  ...Object.fromEntries([0x02, 0x03, 0x04, 0x41, 0x42, 0xd0].map((opcode) => [opcode, (r) => r.skipLeb()])),
  0x0e: (r) => { for (let left = r.leb() + 1; left; left--) r.leb(); },
  0x11: (r) => { r.leb(); r.leb(); },
  0x1c: (r) => { for (let left = r.leb(); left; left--) r.byte(); },
  0x3f: (r) => r.byte(),
  0x40: (r) => r.byte(),
  0x43: (r) => r.skip(4),
  0x44: (r) => r.skip(8),
};

/** The same behind a prefix, by number. */
const prefixed = {
  0xfc: (r, number) => { // saturating conversions, bulk memory, tables
    if (number >= 8) r.leb();
    if ([8, 10, 12, 14].includes(number)) r.leb();
  },
  0xfd: (r, number) => { // SIMD
    if (number <= 11 || number === 92 || number === 93) r.memarg();
    else if (number === 12 || number === 13) r.skip(16);
    else if (number >= 21 && number <= 34) r.byte();
    else if (number >= 84 && number <= 91) { r.memarg(); r.byte(); }
  },
  0xfe: (r, number) => (number === 3 ? r.byte() : r.memarg()), // atomics
};

/** Bodies of the code section. @param {Reader} r */
function* bodies(r) {
  for (r.skip(8); r.at < r.bytes.length;) {
    const id = r.byte(), size = r.leb(), end = r.at + size;
    if (id === 10)
      for (let left = r.leb(); left; left--) {
        const length = r.leb(), from = r.at;
        yield from + length;
        if (r.at !== from + length) throw new Error(`a function at ${from} was not understood`);
      }
    r.at = end;
  }
}

/** How often each instruction stands in a module: the key is the opcode, `0xfd 0x112` with a prefix.
 * @param {Uint8Array} bytes @returns {Map<string, number>} */
export function opcodes(bytes) {
  const r = new Reader(bytes), counts = new Map();
  for (const end of bodies(r)) {
    for (let left = r.leb(); left; left--) { // locals
      r.leb();
      r.byte();
    }
    while (r.at < end) {
      const opcode = r.byte();
      let key = `0x${opcode.toString(16)}`;
      if (opcode in prefixed) {
        const number = r.leb();
        key += ` 0x${number.toString(16)}`;
        prefixed[opcode](r, number);
      } else if (opcode in immediates) {
        immediates[opcode](r);
      } else throw new Error(`opcode ${key} at ${r.at - 1}`);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return counts;
}
