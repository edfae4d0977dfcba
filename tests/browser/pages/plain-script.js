// A script of a file that answers when it is a worker, and does nothing as a script of a page.
if (typeof document === 'undefined') globalThis.postMessage(true);
