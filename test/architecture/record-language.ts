/**
 * `node test/architecture/record-language.ts` lowers the counts in language.json to the findings that are left. It
 * never raises a count: new findings are fixed, not recorded.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findingsIn, listTexts } from './language.ts';
import { root } from './source-tree.ts';

const file = join(root, 'test/architecture/language.json');
const before: Readonly<Record<string, number>> | null = existsSync(file)
  ? JSON.parse(readFileSync(file, 'utf8'))
  : null;

const counts = listTexts().map((path) => {
  const found = findingsIn(path).length;
  return [path, before === null ? found : Math.min(found, before[path] ?? 0)] as const;
});
const left = Object.fromEntries(counts.filter(([, count]) => count > 0));
writeFileSync(file, `${JSON.stringify(left, null, 2)}\n`);
