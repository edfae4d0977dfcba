// Runs tests/bench/kernels.c as WebAssembly: node --no-liftoff tests/bench/kernels.js kernels.wasm [SECONDS A FIGURE]
// Without --no-liftoff V8's first, slow compiler is what is measured: the figures are too short for the second.
import { readFileSync, writeSync } from 'node:fs';

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const { exports } = new WebAssembly.Instance(module, {
  env: { emscripten_notify_memory_growth() {} },
  host: {
    write(fd, at, size) {
      writeSync(fd, new Uint8Array(exports.memory.buffer, at >>> 0, size >>> 0));
    },
    now_s: () => performance.now() / 1000,
  },
});
exports._initialize?.();
process.exitCode = exports.bench_main(Number(process.argv[3] ?? 0.015));
