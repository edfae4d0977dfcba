#!/usr/bin/env node
// The terminal program in WebAssembly: instantiates one of the builds in ../wasm and gives it the functions of
// src/cli/host.h. Arguments, output and exit codes are the C program's own; only --isa is looked at here, to pick the
// build. Nothing else of the engine is touched.
import {
  closeSync, fstatSync, fsyncSync, openSync, readFileSync, readSync, readdirSync, renameSync, rmSync, statSync, unlinkSync, writeSync,
} from 'node:fs'
import { isatty } from 'node:tty'
import process from 'node:process'
import { partOf, sweepParts } from '../parts.js'

const builds = ['scalar', 'simd128', 'relaxed']

/** @param {string[]} args the build that `--isa X` or `--isa=X` asks for, else simd128, which every Node has; C refuses what it does not know */
function pickBuild(args) {
  const at = args.findIndex((arg) => arg === '--isa' || arg.startsWith('--isa='))
  const asked = at < 0 ? '' : (args[at].split('=')[1] ?? args[at + 1])
  return builds.includes(asked) ? asked : 'simd128'
}

/** Runs a read or write until the other end is ready: pipes may answer EAGAIN.
 * @param {() => number} action */
function untilReady(action) {
  for (;;) {
    try {
      return action()
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error)
      if (code === 'EOF') return 0
      if (code !== 'EAGAIN') return -1
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

/** @param {() => unknown} action @returns {number} 1, or 0 when it threw */
function done(action) {
  try {
    action()
    return 1
  } catch {
    return 0
  }
}

/** @param {number} handle @param {Uint8Array} bytes */
function writeAll(handle, bytes) {
  let rest = bytes
  while (rest.length) {
    const written = untilReady(() => writeSync(handle, rest))
    if (written < 0) return 0
    rest = rest.subarray(written)
  }
  return 1
}

/** Files that are being written: each under a name of its own, until it takes the place of `path`. */
class Outputs {
  /** @type {Map<number, { path: string, temporary: string }>} */
  #names = new Map()

  /** @param {string} path */
  create(path) {
    const temporary = partOf(path)
    sweepParts({ readdirSync, rmSync }, path)
    try {
      if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) return -1 // a device would be replaced by a file
      const handle = openSync(temporary, 'wx')
      this.#names.set(handle, { path, temporary })
      return handle
    } catch {
      return -1
    }
  }

  /** @param {number} handle @param {boolean} keep */
  end(handle, keep) {
    const { path, temporary } = /** @type {{ path: string, temporary: string }} */ (this.#names.get(handle))
    this.#names.delete(handle)
    const synced = keep ? done(() => fsyncSync(handle)) : 0
    const closed = done(() => closeSync(handle))
    if (synced && closed && done(() => renameSync(temporary, path))) return 1
    done(() => unlinkSync(temporary))
    return 0
  }
}

/** The imports of src/cli/host_wasm.c.
 * @param {() => WebAssembly.Memory} memory */
function host(memory) {
  const outputs = new Outputs()
  /** @param {number} at @param {number} size */
  const bytes = (at, size) => new Uint8Array(memory().buffer, at >>> 0, size >>> 0) // addresses above 2 GiB come negative
  /** @param {number} at */
  const text = (at) => {
    const all = new Uint8Array(memory().buffer)
    return new TextDecoder().decode(all.subarray(at >>> 0, all.indexOf(0, at >>> 0)))
  }
  return {
    /** @param {number} path */
    open(path) {
      const name = text(path)
      if (name === '-') return 0
      try {
        return openSync(name, 'r')
      } catch {
        return -1
      }
    },
    /** @param {number} handle @param {number} at @param {number} size */
    read: (handle, at, size) => untilReady(() => readSync(handle, bytes(at, size))),
    /** @param {number} handle */
    close: (handle) => {
      if (handle > 2) closeSync(handle)
    },
    /** @param {number} handle */
    size(handle) {
      const info = fstatSync(handle)
      return info.isFile() ? info.size : -1
    },
    /** @param {number} handle @param {number} offset @param {number} at @param {number} size */
    read_at(handle, offset, at, size) {
      const to = bytes(at, size)
      for (let have = 0; have < to.length;) {
        const read = untilReady(() => readSync(handle, to, have, to.length - have, offset + have))
        if (read <= 0) return 0
        have += read
      }
      return 1
    },
    /** @param {number} a @param {number} b */
    same_file(a, b) {
      try {
        const [one, other] = [a, b].map((path) => statSync(text(path), { bigint: true }))
        return one.dev === other.dev && one.ino === other.ino ? 1 : 0
      } catch {
        return 0
      }
    },
    /** @param {number} path */
    create: (path) => outputs.create(text(path)),
    /** @param {number} handle @param {number} at @param {number} size */
    append: (handle, at, size) => writeAll(handle, bytes(at, size)),
    /** @param {number} handle */
    commit: (handle) => outputs.end(handle, true),
    /** @param {number} handle */
    discard: (handle) => void outputs.end(handle, false),
    /** @param {number} stream */
    is_terminal: (stream) => (isatty(stream) ? 1 : 0),
    /** @param {number} stream */
    shows_colour: (stream) => (isatty(stream) && !process.env.NO_COLOR ? 1 : 0),
    /** @param {number} stream @param {number} at @param {number} size */
    write: (stream, at, size) => writeAll(stream, bytes(at, size)),
    now: () => performance.now(),
  }
}

/** Copies the arguments into the module's memory: an array of pointers, then zero-terminated strings.
 * @param {any} exports @param {string[]} args */
function copyArguments(exports, args) {
  const strings = args.map((arg) => new TextEncoder().encode(arg + '\0'))
  const size = strings.reduce((sum, bytes) => sum + bytes.length, 4 * args.length)
  const at = exports.cli_alloc(Math.max(size, 1)) >>> 0
  if (!at) return 0
  const pointers = new Uint32Array(exports.memory.buffer, at, args.length)
  let next = at + 4 * args.length
  strings.forEach((bytes, i) => {
    new Uint8Array(exports.memory.buffer).set(bytes, next)
    pointers[i] = next
    next += bytes.length
  })
  return at
}

async function main() {
  const args = process.argv.slice(2)
  const isa = pickBuild(args)
  const url = new URL(`../wasm/reprise-${isa}.wasm`, import.meta.url)
  /** @type {any} */
  let exports
  const imports = { host: host(() => exports.memory), env: { emscripten_notify_memory_growth() {} } }
  const module = await WebAssembly.compile(readFileSync(url)).catch((error) => {
    throw new Error(`RP_ERR_UNSUPPORTED: --isa ${isa}: ${error.message}`)
  })
  exports = (await WebAssembly.instantiate(module, imports)).exports
  exports._initialize?.()
  const at = copyArguments(exports, args)
  if (!at) throw new Error('RP_ERR_MEMORY: no room for the arguments')
  return exports.cli_run(args.length, at)
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (error) => {
    process.stderr.write(`reprise: ${error.message.startsWith('RP_') ? '' : 'RP_ERR_IO: '}${error.message}\n`)
    process.exitCode = 1
  },
)
