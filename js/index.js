// The package's door; index.d.ts describes what comes through it.
export { caches } from './caches.js'
export { ArgumentError, FormatError, IOError, MemoryError, RepriseError, UnsupportedError } from './errors.js'
export { Model } from './model.js'
export { Session } from './session.js'
export { version } from './version.js'
