/** Of all files of the package; the worker and the WebAssembly modules tell theirs, and others are refused. */
export const version = '0.1.0'
