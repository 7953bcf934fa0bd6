/** Reads the table of docs/guarantees.md: each guarantee and the tests that it names. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export interface Guarantee {
  readonly no: number;
  readonly tests: readonly NamedTest[];
}

export interface NamedTest {
  /** The test file: a path relative to the project's root, with forward slashes. */
  readonly file: string;
  /** The title as the source has it, with the placeholders of `it.each`. */
  readonly title: string;
}

const page = join(resolve(import.meta.dirname, '../..'), 'docs/guarantees.md');

export function readGuarantees(): readonly Guarantee[] {
  const rows = readFileSync(page, 'utf8').split('\n');
  return rows.filter((line) => /^\| +\d+ /.test(line)).map(guaranteeOf);
}

function guaranteeOf(row: string): Guarantee {
  const [, no = '', links = ''] = /^\| +(\d+) +\| .+? +\| (\[.+\]\(\.\.\/.+\)) +\|$/.exec(row) ?? [];
  const tests = links.split('; [').map((link) => {
    const [, title = '', file = ''] = /^\[?(.+)\]\(\.\.\/(.+)\)$/.exec(link) ?? [];
    return { file, title };
  });
  return { no: Number(no), tests };
}
