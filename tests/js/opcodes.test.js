// What the modules are made of: a build that lost its dots would be slow and still right, and some relaxed instructions may give
// other bits on other machines. So both are counted, instruction by instruction.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from './lib/cli.js';
import { opcodes } from './lib/opcodes.js';

const FOLDER = join(ROOT, 'js/wasm');
const I16_DOT = '0xfd 0xba'; // i32x4.dot_i16x8_s
const RELAXED_DOT = '0xfd 0x112'; // i16x8.relaxed_dot_i8x16_i7x16_s: exact while the second operand is below 128
const RELAXED_DOT_ADD = '0xfd 0x113'; // the same
const WAIT = '0xfe 0x1', NOTIFY = '0xfe 0x0'; // memory.atomic.wait32, memory.atomic.notify

const modules = readdirSync(FOLDER).filter((name) => name.endsWith('.wasm')).sort();
const count = (name) => opcodes(readFileSync(join(FOLDER, name)));

test('all builds are there', () => {
  const isas = ['relaxed', 'scalar', 'simd128'];
  assert.equal(modules, [...isas.flatMap((isa) => (isa === 'scalar' ? [`page-${isa}`] : [`page-${isa}`, `page-${isa}-threads`])),
    ...isas.map((isa) => `reprise-${isa}`), 'convert'].map((name) => `${name}.wasm`).sort());
});

for (const name of modules) {
  const counts = count(name);
  const of = (opcode) => counts.get(opcode) ?? 0;
  const simd = [...counts.keys()].filter((key) => key.startsWith('0xfd'));
  const relaxed = simd.filter((key) => parseInt(key.slice(5), 16) >= 0x100);

  test(`${name}: dots where they belong`, () => {
    console.log(`\n${name}: ${of(I16_DOT)} dots of i16, ${of(RELAXED_DOT) + of(RELAXED_DOT_ADD)} relaxed ones of i8`);
    if (/scalar|convert/.test(name)) return assert.equal(simd, []);
    assert.ok(of(I16_DOT) > 20);
    if (name.includes('relaxed')) assert.ok(of(RELAXED_DOT) + of(RELAXED_DOT_ADD) > 20);
  });

  // swizzle, truncations, multiply-adds, lane selects, minimum and maximum, q15mulr: engines may differ, or round once instead of twice.
  test(`${name}: no relaxed instruction but dots`, () => {
    assert.equal(relaxed.filter((key) => key !== RELAXED_DOT && key !== RELAXED_DOT_ADD), []);
    if (!name.includes('relaxed')) assert.equal(relaxed, []);
  });

  test(`${name}: threads wait in those for isolated pages, and no other has atomics`, () => {
    const atomics = [...counts.keys()].filter((key) => key.startsWith('0xfe'));
    if (!name.includes('threads')) return assert.equal(atomics, []);
    assert.ok(of(WAIT) > 0 && of(NOTIFY) > 0);
  });
}

test('the walk finds what is there, and no more', () => {
  // (func (result v128) v128.const (bytes of a relaxed dot) (f64.const of the same) drop, f32x4.relaxed_madd thrice the constant)
  const looks = [0xfd, 0x92, 0x02, 0xfd, 0x92, 0x02, 0xfd, 0x92];
  const constant = [0xfd, 0x0c, ...looks, ...looks];
  const body = [0x01, 0x01, 0x7f, 0x44, ...looks, 0x1a, ...constant, ...constant, ...constant, 0xfd, 0x85, 0x02, 0x0b];
  const code = [0x01, body.length, ...body];
  const bytes = Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b, 0x03, 0x02, 0x01, 0x00, 0x0a, code.length, ...code]);
  assert.equal([...opcodes(bytes)], [['0x44', 1], ['0x1a', 1], ['0xfd 0xc', 3], ['0xfd 0x105', 1], ['0xb', 1]]);
  const cut = bytes.slice(0, -3);
  assert.throws(() => opcodes(cut));
});

test.run();
