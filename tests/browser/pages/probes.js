// What a browser can do, found by doing it. Each probe answers true, false or a short value; one that throws or
// hangs is answered for by the error's name. Runs in windows (probes.html) and in workers (probe-worker.js).
const inWindow = typeof window !== 'undefined';
const here = new URL('.', import.meta.url);

/**
 * Not asked in a worker: Firefox 153 hangs for ever in about one of ten workers that a worker starts.
 * @param {string | URL} url @param {WorkerOptions} [options]
 * @param {unknown} [first] what to send to it @param {Transferable[]} [given]
 */
function answerOf(url, options, first, given) {
  return !inWindow ? 'not asked' : new Promise((resolve, reject) => {
    const worker = new Worker(url, options);
    const end = (settle) => (event) => {
      worker.terminate();
      settle(event.data ?? new Error(event.message ?? event.type));
    };
    worker.onmessage = end(resolve);
    worker.onerror = end(reject);
    worker.onmessageerror = end(reject);
    if (first !== undefined) worker.postMessage(first, given ?? []);
  });
}

const script = (text) => URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
const body = async () => (await fetch(new URL('probes.html', here), { cache: 'no-store' })).body;
const emptyModule = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);

async function scratchFile(name) {
  const root = await navigator.storage.getDirectory();
  return { root, handle: await root.getFileHandle(name, { create: true }) };
}

async function readAll(stream) {
  let bytes = 0;
  const reader = stream.getReader();
  for (let piece; !(piece = await reader.read()).done; ) bytes += piece.value.length;
  return bytes;
}

const memoryPages = (options) => {
  try {
    return new WebAssembly.Memory(options) instanceof WebAssembly.Memory;
  } catch (error) {
    return error.name;
  }
};

/** @type {Record<string, () => unknown>} */
export const probes = {
  // Isolation and memory.
  'secure context': () => isSecureContext,
  'crossOriginIsolated': () => crossOriginIsolated,
  'SharedArrayBuffer': () => typeof SharedArrayBuffer === 'function',
  'memory maximum 2 GB': () => memoryPages({ initial: 1, maximum: 32768 }),
  'memory maximum 4 GB': () => memoryPages({ initial: 1, maximum: 65536 }),
  'shared memory maximum 1 GB': () => memoryPages({ initial: 1, maximum: 16384, shared: true }),
  'shared memory maximum 4 GB': () => memoryPages({ initial: 1, maximum: 65536, shared: true }),
  'memory grows to 1 GB': () => new WebAssembly.Memory({ initial: 1 }).grow(16383) === 1,
  'memory grows to 4 GB': () => new WebAssembly.Memory({ initial: 1 }).grow(65535) === 1,
  'typed array over 2 GB of memory': () => {
    const memory = new WebAssembly.Memory({ initial: 40000 });
    return new Uint8Array(memory.buffer, 2 ** 31 + 5, 100).length === 100;
  },
  'performance.memory': () => typeof performance.memory === 'object',
  'measureUserAgentSpecificMemory': () => typeof performance.measureUserAgentSpecificMemory === 'function',
  'deviceMemory': () => navigator.deviceMemory ?? false,
  'hardwareConcurrency': () => navigator.hardwareConcurrency ?? false,
  // Storage.
  'storage.estimate': async () => Math.round((await navigator.storage.estimate()).quota / 2 ** 20) + ' MB',
  'storage.persisted': async () => typeof await navigator.storage.persisted() === 'boolean',
  'storage.persist answers': async () => typeof await navigator.storage.persist() === 'boolean',
  'OPFS': async () => (await scratchFile('probe')).handle.kind === 'file',
  'OPFS createWritable': async () => {
    const { handle } = await scratchFile('probe-writable');
    const writable = await handle.createWritable();
    await writable.write(new Uint8Array(10));
    await writable.close();
    return (await handle.getFile()).size === 10;
  },
  'OPFS createSyncAccessHandle': async () => {
    const { handle } = await scratchFile(`probe-sync-${inWindow}`);
    const sync = await handle.createSyncAccessHandle();
    sync.truncate(0);
    sync.write(new Uint8Array(10), { at: 5 });
    const size = sync.getSize();
    sync.close();
    return size === 15;
  },
  'OPFS sync handle mode readwrite-unsafe': async () => {
    const { handle } = await scratchFile(`probe-mode-${inWindow}`);
    const first = await handle.createSyncAccessHandle({ mode: 'readwrite-unsafe' });
    try {
      (await handle.createSyncAccessHandle({ mode: 'readwrite-unsafe' })).close();
      return true;
    } finally {
      first.close();
    }
  },
  'OPFS file handle move(name)': async () => {
    const { root, handle } = await scratchFile('probe-move');
    await handle.move('probe-moved');
    return (await root.getFileHandle('probe-moved')).name === 'probe-moved';
  },
  'OPFS file handle move over a file': async () => {
    const { root, handle } = await scratchFile('probe-over');
    await root.getFileHandle('probe-under', { create: true });
    await handle.move('probe-under');
    return true;
  },
  'OPFS entries() by for await': async () => {
    const { root } = await scratchFile('probe');
    let count = 0;
    for await (const [name] of root.entries()) count += name.length > 0;
    return count > 0;
  },
  'OPFS handle clones to a worker': async () => {
    const { handle } = await scratchFile('probe');
    return answerOf(script('onmessage = ({ data }) => postMessage(data.name === "probe")'), {}, handle);
  },
  'indexedDB stores a Blob': () => new Promise((resolve, reject) => {
    const request = indexedDB.open(`probe-${inWindow}`, 1);
    request.onupgradeneeded = () => request.result.createObjectStore('s');
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const change = request.result.transaction('s', 'readwrite');
      change.objectStore('s').put(new Blob(['x']), 'k');
      change.oncomplete = () => resolve(true);
      change.onerror = () => reject(change.error);
      change.onabort = () => reject(change.error);
    };
  }),
  'Cache API': async () => {
    const cache = await caches.open('probe');
    await cache.put('/probe', new Response('x'));
    return (await (await cache.match('/probe')).text()) === 'x';
  },
  'localStorage': () => typeof localStorage === 'object',
  'Web Locks': () => navigator.locks.request('probe', { ifAvailable: true }, (lock) => lock !== null),
  'Web Locks steal': () => navigator.locks.request('probe2', { steal: true }, (lock) => lock !== null),
  'BroadcastChannel': () => typeof BroadcastChannel === 'function',
  // Streams.
  'fetch body reader': async () => await readAll(await body()) > 0,
  'for await over a fetch body': async () => {
    let bytes = 0;
    for await (const piece of await body()) bytes += piece.length;
    return bytes > 0;
  },
  'BYOB reader on a fetch body': async () => {
    const reader = (await body()).getReader({ mode: 'byob' });
    const { value } = await reader.read(new Uint8Array(64));
    await reader.cancel();
    return value.length > 0;
  },
  'for await over ReadableStream': async () => {
    const stream = new ReadableStream({ start: (control) => { control.enqueue(1); control.close(); } });
    let sum = 0;
    for await (const value of stream) sum += value;
    return sum === 1;
  },
  'ReadableStream.from': () => typeof ReadableStream.from === 'function',
  'byte stream (type: bytes)': () => new ReadableStream({ type: 'bytes' }) instanceof ReadableStream,
  'transferable ReadableStream': () => {
    const stream = new ReadableStream({ start: (control) => { control.enqueue(1); control.close(); } });
    structuredClone(stream, { transfer: [stream] });
    return true;
  },
  'transferred stream reads in a worker': () => {
    const stream = new ReadableStream({ start: (control) => { control.enqueue(7); control.close(); } });
    const url = script('onmessage = async ({ data }) => postMessage((await data.getReader().read()).value === 7)');
    return answerOf(url, {}, stream, [stream]);
  },
  'TransformStream': () => typeof TransformStream === 'function',
  'pipeThrough TextDecoderStream': async () => {
    const text = (await body()).pipeThrough(new TextDecoderStream());
    return (await text.getReader().read()).value.length > 0;
  },
  'DecompressionStream gzip': () => typeof new DecompressionStream('gzip') === 'object',
  'Blob.stream': async () => await readAll(new Blob(['abc']).stream()) === 3,
  'Blob.bytes': async () => (await new Blob(['abc']).bytes()).length === 3,
  'Blob.slice().arrayBuffer': async () => (await new Blob(['abc']).slice(1).arrayBuffer()).byteLength === 2,
  'Response of a stream': async () => (await new Response(new Blob(['abc']).stream()).text()) === 'abc',
  'fetch answers a Range with 206': async () => (
    (await fetch(new URL('probes.html', here), { headers: { Range: 'bytes=0-3' } })).status === 206),
  'fetch aborts by signal': () => {
    const control = new AbortController();
    const answer = fetch(new URL('probes.html', here), { signal: control.signal, cache: 'no-store' });
    control.abort();
    return answer.then(() => false, (error) => error.name === 'AbortError');
  },
  'crypto.subtle SHA-256': async () => (
    (await crypto.subtle.digest('SHA-256', new Uint8Array(3))).byteLength === 32),
  // Workers and modules.
  'classic worker from a Blob': () => answerOf(script('postMessage(true)')),
  'module worker from a Blob': () => answerOf(script('postMessage(true)'), { type: 'module' }),
  'module worker': () => answerOf(new URL('worker-module.js', here), { type: 'module' }, 'static'),
  'module worker from a Blob imports': () => (
    answerOf(script(`import ${JSON.stringify(new URL('worker-module.js', here).href)};`), { type: 'module' }, 'static')),
  'dynamic import in a module worker': () => answerOf(new URL('worker-module.js', here), { type: 'module' }, 'dynamic'),
  'dynamic import in a classic worker': () => (
    answerOf(script(`import("${new URL('answer.js', here)}").then(({ answer }) => postMessage(answer === 42))`))),
  'worker inside a worker': () => answerOf(script(
    `new Worker(${JSON.stringify(script('postMessage(true)'))}).onmessage = ({ data }) => postMessage(data)`)),
  'WebAssembly.Module clones to a worker': () => answerOf(
    script('onmessage = ({ data }) => postMessage(data instanceof WebAssembly.Module)'), {},
    new WebAssembly.Module(emptyModule)),
  'SharedArrayBuffer goes to a worker': () => answerOf(
    script('onmessage = ({ data }) => postMessage(data.byteLength === 8)'), {}, new SharedArrayBuffer(8)),
  'shared WebAssembly.Memory goes to a worker': () => answerOf(
    script('onmessage = ({ data }) => postMessage(data instanceof WebAssembly.Memory)'), {},
    new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })),
  'Atomics.wait in this thread': () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1) === 'timed-out',
  'Atomics.waitAsync': () => typeof Atomics.waitAsync === 'function',
  'MessageChannel': () => typeof MessageChannel === 'function',
  'service worker registers': async () => {
    const registration = await navigator.serviceWorker.register(new URL('probe-service-worker.js', here));
    await registration.unregister();
    return true;
  },
  'module service worker registers': async () => {
    const url = new URL('probe-service-worker.js?module', here);
    const registration = await navigator.serviceWorker.register(url, { type: 'module' });
    await registration.unregister();
    return true;
  },
  'import.meta.resolve': () => typeof import.meta.resolve === 'function',
  'JSON module import': () => import('./answer.json', { with: { type: 'json' } }).then(({ default: it }) => it.answer === 42),
  // Language.
  'Promise.withResolvers': () => typeof Promise.withResolvers === 'function',
  'Promise.try': () => typeof Promise.try === 'function',
  'Array.fromAsync': () => typeof Array.fromAsync === 'function',
  'Symbol.dispose': () => typeof Symbol.dispose === 'symbol',
  'Symbol.asyncDispose': () => typeof Symbol.asyncDispose === 'symbol',
  'await using': () => {
    try {
      return Boolean(new Function('return async () => { await using x = null; }')());
    } catch (error) {
      return error.name;
    }
  },
  'AbortSignal.any': () => typeof AbortSignal.any === 'function',
  'AbortSignal.timeout': () => typeof AbortSignal.timeout === 'function',
  'structuredClone': () => typeof structuredClone === 'function',
  'iterator helpers': () => typeof globalThis.Iterator?.prototype.map === 'function',
  'Set methods': () => typeof Set.prototype.union === 'function',
  'Error cause': () => new Error('x', { cause: 1 }).cause === 1,
  'Uint8Array.fromBase64': () => typeof Uint8Array.fromBase64 === 'function',
  'resizable ArrayBuffer': () => new ArrayBuffer(1, { maxByteLength: 2 }).resizable === true,
  'ArrayBuffer.transfer': () => typeof ArrayBuffer.prototype.transfer === 'function',
  'Float16Array': () => typeof Float16Array === 'function',
  'FinalizationRegistry': () => typeof FinalizationRegistry === 'function',
  'RegExp v flag': () => {
    try {
      return new RegExp('[\\p{L}--[a-z]]', 'v') instanceof RegExp;
    } catch (error) {
      return error.name;
    }
  },
  'RegExp lookbehind': () => {
    try {
      return new RegExp('(?<=a)b').test('ab');
    } catch (error) {
      return error.name;
    }
  },
  'Intl.Segmenter': () => typeof Intl.Segmenter === 'function',
  'scheduler.yield': () => typeof globalThis.scheduler?.yield === 'function',
  'setTimeout(0) x 20 takes ms': async () => {
    const start = performance.now();
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve));
    return Math.round(performance.now() - start);
  },
  'WebGPU': async () => Boolean(await navigator.gpu?.requestAdapter()),
  // Files a person gives.
  'showOpenFilePicker': () => typeof globalThis.showOpenFilePicker === 'function',
  'getAsFileSystemHandle': () => inWindow && 'getAsFileSystemHandle' in DataTransferItem.prototype,
  'wakeLock': () => typeof navigator.wakeLock === 'object',
  'popover, dialog, inert': () => inWindow && 'popover' in HTMLElement.prototype && 'showModal' in HTMLDialogElement.prototype
    && 'inert' in HTMLElement.prototype,
  'CSS nesting, :has, color-mix, light-dark': () => inWindow && [CSS.supports('selector(&)'), CSS.supports('selector(:has(a))'),
    CSS.supports('color', 'color-mix(in oklab, red, blue)'), CSS.supports('color', 'light-dark(red, blue)')].map(Number).join(''),
  'field-sizing: content': () => inWindow && CSS.supports('field-sizing', 'content'),
};

/** Every probe's answer, one after the other; `late` milliseconds are enough for each. Tells `begins` what it does. */
export async function probe(begins = (name) => name, late = 3000) {
  const answers = {};
  for (const [name, ask] of Object.entries(probes)) {
    begins(name);
    const timeout = new Promise((resolve) => setTimeout(resolve, late, 'hangs'));
    answers[name] = await Promise.race([timeout, (async () => ask())().catch((error) => error?.name ?? String(error))]);
  }
  return answers;
}
