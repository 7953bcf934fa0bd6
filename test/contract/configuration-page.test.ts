/** docs/configuration.md lists every variable of the environment that a process reads, and no other. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readSourceTexts, root } from '../architecture/source-tree.ts';

/**
 * Matches the reads of environment variables: `read.<kind>('<NAME>'`, a helper of the section with the name, or the
 * variable of an extension's port.
 */
const READ = /(?:\bread\.\w+\(|\bgiven\(read, |\bvariable: )'([A-Z][A-Z_]+)'/g;
/** Variables whose names are composed in the code: the credentials of a bucket. */
const CREDENTIALS = ['ARTIFACT_ACCESS_KEY_ID', 'ARTIFACT_SECRET_ACCESS_KEY'];

it('lists every variable that is read, and no other', () => {
  const page = readFileSync(join(root, 'docs/configuration.md'), 'utf8');
  const rows = [...page.matchAll(/^\| (`[^|]+) \|/gm)].map(([, cell = '']) => cell);
  const listed = rows.flatMap((cell) => [...cell.matchAll(/`([A-Z][A-Z_]+)`/g)].map(([, name = '']) => name));
  const product = readSourceTexts().filter((file) => !file.isTest && /^(apps|libs)\//.test(file.path));
  const read = product.flatMap(({ code }) => [...code.matchAll(READ)].map(([, name = '']) => name));
  expect(new Set(listed)).toEqual(new Set([...read, ...CREDENTIALS]));
});

it('lists every value of a variable with fixed values', () => {
  const page = readFileSync(join(root, 'docs/configuration.md'), 'utf8');
  const product = readSourceTexts().filter((file) => !file.isTest && /^(apps|libs)\//.test(file.path));
  const choices = product.flatMap(({ code }) => [...code.matchAll(/\bread\.oneOf\('([A-Z_]+)', \[([^\]]+)\]/g)]);
  expect(choices.length).toBeGreaterThan(0);
  for (const [, name = '', values = ''] of choices) {
    const meaning =
      page
        .split('\n')
        .find((line) => line.startsWith(`| \`${name}\` `))
        ?.split('|')[3] ?? '';
    // An explanation of a value may name another one: "`auto`: …, else `required`".
    const listed = [...meaning.replace(/else `\w+`/g, '').matchAll(/`(\w+)`/g)].map(([, value]) => value);
    expect([name, ...listed.sort()]).toEqual([name, ...[...values.matchAll(/'(\w+)'/g)].map(([, v]) => v).sort()]);
  }
});
