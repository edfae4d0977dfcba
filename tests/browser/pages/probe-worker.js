// The probes, inside a worker: the name of each when it begins, then all answers.
import { probe } from './probes.js';

postMessage(await probe((name) => postMessage(name)));
