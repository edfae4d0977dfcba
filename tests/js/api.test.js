// C, JavaScript, types and documents say the same: codes, options, methods, versions.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import * as reprise from '../../js/index.js';
import { chooseBuild } from '../../js/builds.js';
import { Engine } from '../../js/engine.js';
import { errorsByCode } from '../../js/errors.js';
import { SAMPLING } from '../../js/generate.js';
import { pickHow } from '../../js/session.js';
import { ROOT } from './lib/cli.js';

const read = (file) => readFileSync(join(ROOT, file), 'utf8');
const types = ts.createSourceFile('index.d.ts', read('js/index.d.ts'), ts.ScriptTarget.Latest);
const { layout } = await Engine.create(await chooseBuild({}));

const sorted = (names) => [...names].sort();
const declared = (name) => types.statements.find((statement) => statement.name?.text === name);

/** Names of the members of a class or interface; of computed ones their text. */
function members(name) {
  const names = declared(name).members.filter((member) => member.name).map((member) => member.name.getText(types));
  return sorted(new Set(names.filter((member) => !member.startsWith('['))));
}

test('error codes are those of C, and documented', () => {
  const codes = layout.status.filter((code) => code.startsWith('RP_ERR_'));
  assert.equal(sorted(Object.keys(errorsByCode)), sorted(codes));
  const union = declared('ErrorCode').type.types.map((type) => type.literal.text);
  assert.equal(sorted(union), sorted(codes));
  for (const [code, type] of Object.entries(errorsByCode)) {
    const error = new type('what');
    assert.is(error.code, code);
    assert.is(error.name, type.name);
    assert.is(reprise[type.name], type);
    assert.instance(error, reprise.RepriseError);
    assert.match(read('js/README.md'), new RegExp(`\`${code}\``));
  }
});

test('sampling options are those of C', () => {
  const inC = layout.sampler.filter((name) => !name.startsWith('seed'));
  assert.equal(sorted(Object.keys(SAMPLING)), sorted(inC));
  assert.equal(members('SamplingOptions'), sorted([...inC, 'seed', 'logitBias']));
});

test('the types declare what the package exports', () => {
  const isExported = (statement) => statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
  const names = types.statements.filter(isExported).flatMap((statement) => (
    ts.isVariableStatement(statement) ? statement.declarationList.declarations.map(({ name }) => name.text)
      : ts.isClassDeclaration(statement) ? [statement.name.text] : []));
  assert.equal(sorted(names), sorted(Object.keys(reprise)));
});

test('the types declare every method that is there', async () => {
  const model = await reprise.Model.load(join(ROOT, 'models/stories.gguf'));
  const session = model.session();
  for (const [name, object, internal] of [['Model', model, ['takeState', 'adoptSession', 'forget']], ['Session', session, ['open', 'adopt', 'takeState']]]) {
    const own = [...Object.getOwnPropertyNames(Object.getPrototypeOf(object)), ...Object.keys(object)].filter((key) => (
      key !== 'constructor' && !internal.includes(key) && !key.startsWith('_')));
    const statics = name === 'Model' ? ['load', 'plan'] : [];
    assert.equal(sorted(new Set([...own, ...statics])), members(name));
  }
  const plan = await reprise.Model.plan(join(ROOT, 'models/stories.gguf'));
  const optional = ['name', 'license', 'storage'];
  const required = (keys) => sorted(keys).filter((key) => !optional.includes(key));
  assert.equal(required(Object.keys(model.info)), required([...members('ModelInfo'), ...members('Program')]));
  const program = await model.program();
  assert.equal(sorted(Object.keys(program)), members('Program'));
  assert.equal(sorted(Object.keys(program.sharing)), members('Sharing'));
  assert.equal(sorted(Object.keys(program.program[0])), members('Visit'));
  assert.equal(required(Object.keys(model.plan)), members('MemoryPlan'));
  assert.equal(required(Object.keys(plan)), required([...members('Plan'), ...members('MemoryPlan')]));
  const result = await session.prompt('Once', { maxTokens: 1 });
  assert.equal(sorted(Object.keys(result)), members('Result'));
  model.destroy();
});

test('what is computed with is passed on', () => {
  const names = sorted([...members('ProgramOptions'), ...members('ComputeOptions')]);
  assert.equal(sorted(Object.keys(pickHow(Object.fromEntries(names.map((name) => [name, 1]))))), names);
});

test('every file has one version', () => {
  assert.is(layout.version, reprise.version);
  assert.is(JSON.parse(read('js/package.json')).version, reprise.version);
});

test.run();
