// The package as npm would get it (build/package), put on the test server into a folder.
import * as assert from 'uvu/assert';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = fileURLToPath(new URL('../../../build/package/', import.meta.url));

/** @param {import('./server.js').Server} server @param {string} folder of the package's own files, with a slash at both ends */
export function putPackage(server, folder) {
  assert.ok(existsSync(PACKAGE), 'make package first');
  for (const entry of readdirSync(PACKAGE, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    server.put(folder + path.slice(PACKAGE.length), readFileSync(path));
  }
}
