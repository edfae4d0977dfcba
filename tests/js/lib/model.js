// What tests of the package share: the story model, and calls that are to fail.
import * as assert from 'uvu/assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Model } from '../../../js/index.js';
import { ROOT } from './cli.js';

export const STORIES = join(ROOT, 'models/stories.gguf');
export const bytes = readFileSync(STORIES);
export const PROMPT = 'Once upon a time';
export const GREEDY = { temperature: 0 };

/** @param {(model: Model) => Promise<void>} use @param {any} [options] */
export async function withModel(use, options) {
  const model = await Model.load(bytes, options);
  try {
    await use(model);
  } finally {
    model.destroy();
  }
}

/** @param {Promise<any>} promise @param {Function} type @param {RegExp} [message] */
export async function rejects(promise, type, message = /./) {
  const error = await promise.then(() => assert.unreachable(`no ${type.name}`), (reason) => reason);
  assert.instance(error, type, `${error?.stack}`);
  assert.match(error.message, message);
  return error;
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
