// Waits beside a test until that has ended, in whatever way, and then ends the browsers it left and their profiles.
//     node leash.js MARK FOLDER, with a pipe from the test as standard input
import { rmSync } from 'node:fs';
import { end } from './processes.js';

const [mark, folder] = process.argv.slice(2);
process.on('SIGINT', () => {}).on('SIGTERM', () => {}).on('SIGHUP', () => {});
process.stdin.resume().on('close', async () => {
  await end(mark);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  process.exit();
});
