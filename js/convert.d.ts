/** Models of other formats into GGUF files, and GGUF files into others: the terminal program's `convert`, in a page or in Node. Loaded
 * when it is imported; the module behind it is fetched when it is used.
 *
 *     import { convert } from 'reprise/convert'
 *     const { blob } = await convert(input.files, { type: 'q4_0' }) // <input type="file" webkitdirectory>
 *     const model = await Model.load(blob)
 *
 * What fails is one of the five errors of `reprise`; an aborted call rejects with its signal's reason. */

/** Types that weights can be stored in. */
export type ConvertType = 'f32' | 'f16' | 'bf16' | 'q4_0' | 'q4_1' | 'q5_0' | 'q8_0' | 'q4_k' | 'q6_k'

/** A Hugging Face folder (config.json, safetensors, tokenizer.json or tokenizer.model beside it), or one file: GGUF, or a llama2.c
 * checkpoint. Files of a folder come as an `<input webkitdirectory>` gives them, as a list with paths, or as a directory's handle; the
 * folders that all of them lie in do not count. In Node a path; Blobs and bytes are there read into memory first. */
export type ConvertInput = Blob | ArrayBuffer | ArrayBufferView | Iterable<File | { path: string; file: Blob }> | FileList
  | FileSystemFileHandle | FileSystemDirectoryHandle | string | URL

export interface ConvertOptions {
  /** Of all weight matrices. Default: as the input has them. Rows that do not fill a type's blocks get the next larger one, vectors stay
   * f32. */
  type?: ConvertType
  /** With `type`: of the output projection and of the table that may be its; default: q6_k, or `type` where that is more. */
  headType?: ConvertType
  /** Stores blocks whose bytes are equal once. */
  dedup?: boolean
  /** Gives each visit a block of its own: a file for programs that know no sharing. */
  unroll?: boolean
  /** A self-merge: visits of the file's program, in any order and number, like `0-9,10-13x2,14-29`. */
  layers?: string
  /** A vocabulary from another file: GGUF, tokenizer.json, tokenizer.model or llama2.c's tokenizer.bin (which a llama2.c checkpoint needs).
   * In Node also a path. */
  tokenizer?: Blob | ArrayBuffer | ArrayBufferView | string | URL
  /** In Node: where the file is to be. It appears whole or not at all. Without it the result is a `blob`. */
  output?: string | URL
  /** At most some 20 times a second. */
  onProgress?: (progress: ConvertProgress) => void
  /** Ends it at once; what was written by then is removed. */
  signal?: AbortSignal
  /** From so many bytes of input on, a page's output is kept in the origin's private file system, where there is one, instead of in memory;
   * default 256 MiB. */
  diskFrom?: number
  /** Where the package's `worker.js` is, when it does not lie beside this script. */
  workerUrl?: string | URL
  /** The bytes of `convert.wasm`, when it does not lie beside the worker. */
  wasm?: ArrayBuffer
}

/** `reading`: nothing is written yet, `total` is 0. `comparing`: bytes of blocks that `dedup` looks at. `writing`: bytes of the output. */
export interface ConvertProgress {
  phase: 'reading' | 'comparing' | 'writing'
  done: number
  total: number
}

export interface Converted {
  /** The file; undefined when it was written to `output`. */
  blob?: Blob
  /** The path, when there was one. */
  output?: string
  /** Gives back at once what a large `blob` takes on disk, instead of when the page is gone; the blob cannot be read any more. */
  discard?: () => Promise<void>
  architecture: string
  /** Blocks stored, and visits of a token. */
  blocks: number
  visits: number
  /** Parameters stored. */
  parameters: number
  /** Of the file. */
  bytes: number
  /** Halves of blocks that `dedup` stored once. */
  equalHalves: number
  /** The depth that stays where the input's could be chosen and the changed program's cannot; 0: no choice was lost. */
  fixedDepth: number
  /** What an unrolled file still needs that plain loaders do not know; null: nothing. */
  keeps: string | null
}

export function convert(input: ConvertInput, options?: ConvertOptions): Promise<Converted>
