/** Tests that the written config is formatted, and that it is valid TypeScript for any names. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { importConfig } from '@tandem/config/predictor/load-config';
import { expect, test } from 'vitest';
import { type InputTensor, matchInputs } from './match-inputs.ts';
import { matchOutputs } from './match-outputs.ts';
import { table } from './table.fixture.ts';
import type { TableFacts } from './table-facts.ts';
import { writeConfig } from './write-config.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

function configFor(tensors: readonly InputTensor[], facts: TableFacts, model = './churn.onnx'): string {
  const outputs = matchOutputs([
    { name: 'output_label', type: 'int64', shape: ['N'] },
    { name: 'p', type: 'float32', shape: ['N', 2] },
  ]);
  if (!outputs.ok) throw new Error(outputs.problem);
  const inputs = matchInputs(tensors, facts, null);
  return writeConfig({ predictor: 'churn-2', model, table: facts, inputs, outputs: outputs.outputs, rowByRow: true });
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: a name that must not become one in the config
const WIDE = table('age integer!, plan text, spent numeric, loaded_at timestamp with time zone, "odd`${1}\' integer', {
  plan: { values: ['basic', "o'clock", 'a "quoted" one', ...Array.from({ length: 20 }, (_, i) => `category ${i}`)] },
});
const CASES: readonly (readonly [string, string])[] = [
  ['everything', configFor([{ name: 'features', type: 'float32', shape: ['N', 26] }], WIDE, "./it's a model.onnx")],
  ['nothing that fits', configFor([{ name: 'features', type: 'float32', shape: ['N', 4] }], WIDE)],
  [
    'explicit inputs',
    configFor(
      [
        { name: 'numbers', type: 'float32', shape: ['N', 2] },
        { name: 'some-texts', type: 'string', shape: ['N', 2] },
      ],
      table('a real, p text!, b real, q text'),
    ),
  ],
];

test.each(CASES)('%s is formatted', (_, text) => {
  const [biome, path] = [join(ROOT, 'node_modules/.bin/biome'), join(ROOT, 'tandem.config.ts')];
  expect(
    execFileSync(biome, ['format', `--stdin-file-path=${path}`], { input: text, cwd: ROOT, encoding: 'utf8' }),
  ).toBe(text);
});

test('names with quotes, backticks and line breaks stay names', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-init-'));
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a name that must not become one in the config
  const odd = "a`${b}\r\n'c\\";
  const facts = table('visits integer');
  const quoted = { name: odd, sql: `"${odd}"`, type: 'integer', nulls: 3 };
  const text = configFor([{ name: 'f', type: 'float32', shape: ['N', 2] }], {
    ...facts,
    columns: [...facts.columns, quoted],
  });
  const file = join(folder, 'tandem.config.ts');
  await writeFile(file, text);
  const imported = await importConfig(file);
  await rm(folder, { recursive: true });
  expect(imported).toMatchObject({
    ok: true,
    value: { predictors: { 'churn-2': { features: { sql: expect.stringContaining(`"${odd}"`) } } } },
  });
}, 60_000);

test('the config suggests a value for nulls that fits the type of the input', () => {
  const tensors = (['float32', 'int64', 'bool', 'string'] as const).map((type) => ({
    name: type,
    type,
    shape: ['N', 1],
  }));
  const facts = table('float32 text!, int64 integer!, bool boolean!, string text!', { float32: { isNumeric: true } });
  expect(configFor(tensors, facts)).toContain("// nulls: { float32: 'nan', int64: 0, bool: false, string: '' },");
});

test('notes for the user are beside the settings', () => {
  const [[, all = ''] = []] = CASES;
  expect(all).toContain('// Users with a null are not scored: age (7) of 100 rows.');
  expect(all).toContain("// nulls: { age: 'nan' },");
  expect(all).toContain("asOf: 'loaded_at',");
  expect(all).toContain('rowByRow: true,');
});
