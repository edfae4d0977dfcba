// A worker that says whether what it imports is there: `static` or `dynamic`.
import { answer } from './answer.js';

onmessage = async ({ data }) => {
  const given = data === 'dynamic' ? (await import('./answer.js?again')).answer : answer;
  postMessage(given === 42);
};
