// Runs one C test or benchmark that was built to WebAssembly: node tests/js/lib/run-wasm.js test.wasm [seed or
// seconds]. It sees a clock and host.write and no more; its exit code becomes ours, and a trap fails like any
// thrown error.
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
process.exitCode = exports.test_main?.(Number(process.argv[3] ?? 1)) ?? exports.bench_main(Number(process.argv[3] ?? 0.015));
