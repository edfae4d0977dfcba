// The twenty prompts of the comparison with llama.cpp: prose, code, other languages, chat turns with their special
// tokens, numbers and lists. `special` says that text such as <|im_start|> is read as control tokens.
const chat = (user, system) =>
  `${system ? `<|im_start|>system\n${system}<|im_end|>\n` : ''}<|im_start|>user\n${user}<|im_end|>\n<|im_start|>assistant\n`;

const plain = [
  'The capital of France is',
  'Once upon a time, in a village at the edge of a dark forest, there lived',
  'It was the best of times, it was the worst of times, it was the age of wisdom,',
  'Photosynthesis is the process by which green plants',
  'def fibonacci(n):\n    """Return the n-th Fibonacci number."""\n',
  '#include <stdio.h>\n\nint main(void) {\n    for (int i = 0; i < 10; i++) {\n',
  'SELECT name, COUNT(*) FROM orders\nWHERE created_at > \'2024-01-01\'\n',
  'import { readFile } from "node:fs/promises";\n\nexport async function',
  'Il était une fois une petite fille qui',
  'Die Hauptstadt von Deutschland ist Berlin, und',
  '日本の首都は',
  'Привет! Меня зовут',
  '1, 2, 3, 5, 8, 13, 21,',
  'The price rose from $1,299.99 to $1,450.00, an increase of 11.54%, while in 2023',
  'Shopping list:\n- milk\n- eggs\n- bread\n-',
  'Steps to make tea 🍵:\n1. Boil the water.\n2.',
].map((text) => ({ text, special: false }));

const chats = [
  chat('What is gravity?', 'You are a helpful AI assistant named SmolLM, trained by Hugging Face'),
  chat('Write a haiku about the sea.'),
  chat('What is 12 * 7? Explain briefly.'),
  `${chat('Name three colours.')}Red, green and blue.<|im_end|>\n<|im_start|>user\nAnd two more?<|im_end|>\n<|im_start|>assistant\n`,
].map((text) => ({ text, special: true }));

export const prompts = [...plain, ...chats];
