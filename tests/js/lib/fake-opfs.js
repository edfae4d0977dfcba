// What browsers have and Node lacks, in memory: the origin's private file system, with a quota and with damage on demand,
// and Web Locks. As strict as the real ones where it matters: an access handle is exclusive, a removed folder is gone for
// those who still hold it, a File is a snapshot.

const fail = (name, message = name) => {
  throw new DOMException(message, name);
};
const turn = () => new Promise((resolve) => setImmediate(resolve));

class FakeFile {
  kind = 'file';
  bytes = new Uint8Array(0);
  open = false;
  removed = false;
}

class FakeFolder {
  kind = 'directory';
  /** @type {Map<string, FakeFile | FakeFolder>} */
  entries = new Map();
  removed = false;
}

/** @param {FakeOpfs} disk @param {FakeFile} file */
function fileHandle(disk, file) {
  const gone = () => file.removed && fail('NotFoundError');
  const put = (bytes, at) => {
    const size = Math.max(file.bytes.length, at + bytes.length);
    if (disk.used + size - file.bytes.length > disk.quota) fail('QuotaExceededError');
    const grown = new Uint8Array(size);
    grown.set(file.bytes);
    grown.set(bytes, at);
    disk.used += size - file.bytes.length;
    file.bytes = grown;
    disk.writes++;
    return bytes.length;
  };
  const truncate = (size) => {
    disk.used += size - file.bytes.length;
    file.bytes = file.bytes.slice(0, size);
  };
  const handle = {
    kind: 'file',
    async getFile() {
      await turn();
      gone();
      disk.reads++;
      return new Blob([file.bytes]);
    },
    async createSyncAccessHandle() {
      await turn();
      gone();
      if (file.open) fail('NoModificationAllowedError');
      file.open = true;
      const { onWrite } = disk;
      return { truncate, write: (bytes, { at = 0 } = {}) => put(onWrite(bytes), at), flush() {}, close: () => void (file.open = false) };
    },
    async createWritable() {
      await turn();
      gone();
      let at = 0;
      truncate(0);
      return { write: async (bytes) => void (at += put(disk.onWrite(bytes), at)), close: turn };
    },
  };
  if (!disk.hasSync) delete handle.createSyncAccessHandle;
  return handle;
}

/** @param {FakeOpfs} disk @param {FakeFolder} folder */
function folderHandle(disk, folder) {
  const get = async (name, { create = false } = {}, Kind) => {
    await turn();
    if (folder.removed) fail('NotFoundError');
    if (!folder.entries.has(name)) {
      if (!create) fail('NotFoundError');
      folder.entries.set(name, new Kind());
    }
    const entry = folder.entries.get(name);
    return entry instanceof Kind ? entry : fail('TypeMismatchError');
  };
  const remove = (entry) => {
    entry.removed = true;
    if (entry instanceof FakeFile) disk.used -= entry.bytes.length;
    else for (const inner of entry.entries.values()) remove(inner);
  };
  return {
    kind: 'directory',
    getDirectoryHandle: async (name, options) => folderHandle(disk, await get(name, options, FakeFolder)),
    getFileHandle: async (name, options) => fileHandle(disk, await get(name, options, FakeFile)),
    async removeEntry(name, { recursive = false } = {}) {
      await turn();
      const entry = folder.entries.get(name) ?? fail('NotFoundError');
      if (entry.open) fail('NoModificationAllowedError');
      if (entry instanceof FakeFolder && entry.entries.size && !recursive) fail('InvalidModificationError');
      remove(entry);
      folder.entries.delete(name);
    },
    async *keys() {
      for (const name of [...folder.entries.keys()]) {
        await turn();
        yield name;
      }
    },
  };
}

export class FakeOpfs {
  quota = Infinity;
  used = 0;
  writes = 0;
  reads = 0;
  hasSync = true;
  /** @type {Error | undefined} what getDirectory throws */ refuses;
  /** What becomes of bytes that are written. @type {(bytes: Uint8Array) => Uint8Array} */ onWrite = (bytes) => bytes;
  root = new FakeFolder();

  async getDirectory() {
    await turn();
    if (this.refuses) throw this.refuses;
    return folderHandle(this, this.root);
  }
  async persist() {
    return true;
  }
  /** Folders of the cache. @returns {FakeFolder[]} */
  get folders() {
    return [...this.root.entries.get('reprise-1')?.entries.values() ?? []];
  }
  /** Names in the only folder. */
  get names() {
    return [...this.folders[0]?.entries.keys() ?? []].sort();
  }
  /** A file of the only folder. @param {string} name @returns {FakeFile} */
  file(name) {
    return this.folders[0].entries.get(name);
  }
}

/** Web Locks of one origin. */
export class FakeLocks {
  /** @type {Map<string, Promise<unknown>>} the last in the queue */
  #queues = new Map();
  held = 0;

  async request(name, options, callback) {
    const { ifAvailable = false, signal } = options;
    await turn();
    signal?.throwIfAborted();
    if (ifAvailable && this.#queues.has(name)) return callback(null);
    const before = this.#queues.get(name);
    let done;
    const mine = new Promise((resolve) => (done = resolve));
    const queue = Promise.all([before, mine]);
    this.#queues.set(name, queue);
    try {
      const aborted = new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
      await Promise.race([before, aborted]);
      this.held++;
      try {
        return await callback({ name });
      } finally {
        this.held--;
      }
    } finally {
      done();
      if (this.#queues.get(name) === queue) this.#queues.delete(name);
    }
  }
}
