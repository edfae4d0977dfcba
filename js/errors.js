// The five errors, with the codes of src/reprise.h, and their way through postMessage. Nothing else is ever thrown at a user,
// but the reason of an AbortSignal.

export class RepriseError extends Error {
  code = ''
  /** @param {string} message @param {Record<string, unknown>} [fields] */
  constructor(message, fields) {
    super(message)
    Object.assign(this, fields)
  }
}
export class ArgumentError extends RepriseError {
  code = 'RP_ERR_ARGUMENT'
}
export class FormatError extends RepriseError {
  code = 'RP_ERR_FORMAT'
}
export class UnsupportedError extends RepriseError {
  code = 'RP_ERR_UNSUPPORTED'
}
export class MemoryError extends RepriseError {
  code = 'RP_ERR_MEMORY'
  bytesNeeded
  /** @param {string} message @param {{ bytesNeeded?: number }} [fields] */
  constructor(message, fields) {
    super(message)
    this.bytesNeeded = fields?.bytesNeeded ?? 0
  }
}
export class IOError extends RepriseError {
  code = 'RP_ERR_IO'
}

/** @type {Record<string, typeof RepriseError>} */
export const errorsByCode = {
  RP_ERR_ARGUMENT: ArgumentError,
  RP_ERR_FORMAT: FormatError,
  RP_ERR_UNSUPPORTED: UnsupportedError,
  RP_ERR_MEMORY: MemoryError,
  RP_ERR_IO: IOError,
}
for (const error of Object.values(errorsByCode)) Object.defineProperty(error.prototype, 'name', { value: error.name })

/** What is posted for an error; whatever is none of ours (a trap of WebAssembly, say) is a fault of ours, says so, and ends the
 * worker: its state is not to be trusted.
 * @param {any} error */
export function packError(error) {
  if (!(error instanceof RepriseError))
    return { code: 'RP_ERR_IO', message: `unexpected: ${error?.message ?? error}`, fields: { stack: error?.stack }, isFatal: true }
  return { code: error.code, message: error.message, fields: { ...error }, isFatal: false }
}

/** @param {Omit<ReturnType<typeof packError>, 'isFatal'>} packed */
export const unpackError = ({ code, message, fields }) =>
  new errorsByCode[code](message, fields)
