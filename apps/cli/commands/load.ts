/** `tandem load`: a table from a CSV file. */
import { resolve } from 'node:path';
import { tellNothing } from '@tandem/admission/tell-step';
import type { Command } from 'commander';
import { type Cli, type CommonOptions, present } from '../cli.ts';
import { createCommand } from '../command-line/create-command.ts';
import type { LoadReport } from '../load/load-csv.ts';
import { count } from '../output/quantities.ts';
import { shellWord } from '../output/shell-word.ts';
import { printable, renderFields } from '../output/table.ts';
import { createStepTeller } from '../output/tell-steps.ts';
import { findDatabaseUrl } from '../servers/addresses.ts';

interface Options extends CommonOptions {
  readonly key: string;
  readonly table?: string;
  readonly replace?: boolean;
}

export function loadCommand(cli: Cli): Command {
  return createCommand({
    name: 'load',
    description: 'make a table with one row a user from a CSV file',
    detail: `The file is UTF-8, its values are separated by commas, and its first line names the columns. A column gets the narrowest
type that all its values have: bigint, double precision, boolean (true and false), date, timestamp with time zone
(ISO 8601; without a zone: UTC), else text. Numbers with leading zeros are texts. An empty value is null.
All rows are loaded, or none. An existing table is refused, unless --replace exchanges its rows: where the columns are
the same, it keeps its triggers, indexes and rights. Ends with 0: loaded; 1: nothing was changed; 2: wrong usage.`,
    example: 'tandem load customers.csv --key customer_id',
  })
    .argument('<file>')
    .requiredOption('--key <column>', 'the column of user ids: no two rows have the same; becomes the primary key')
    .option('--table <name>', 'table or schema.table (default: the name of the file)')
    .option('--replace', 'exchange the rows of an existing table')
    .action(async (file: string, options: Options) => {
      const url = findDatabaseUrl(cli);
      const { createPool } = await import('@tandem/offline-store/sql/database');
      const { loadCsv } = await import('../load/load-csv.ts');
      const pool = createPool({ url, max: 1, applicationName: 'tandem-load' });
      try {
        const { key, table = null, replace = false } = options;
        const tell = options.json ? tellNothing : createStepTeller(cli.stderr);
        const report = await loadCsv(pool, { file: resolve(cli.cwd, file), key, table, replace }, tell);
        present(cli, options, report, render);
      } finally {
        await pool.end();
      }
    });
}

const OUTCOMES: Readonly<Record<LoadReport['outcome'], string>> = {
  created: 'created',
  refilled: 'its rows were exchanged',
  recreated: 'dropped and created',
};

function render({ table, outcome, rows, key, columns }: LoadReport): string[] {
  const fields = columns.map(({ name, type, nulls }) => {
    const notes = [...(name === key ? ['primary key'] : []), ...(nulls > 0 ? [`${count(nulls)} null`] : [])];
    return [printable(name), [type, ...notes].join(', ')] as const;
  });
  return [
    `table ${printable(table)} (${OUTCOMES[outcome]}): ${count(rows)} ${rows === 1 ? 'row' : 'rows'}`,
    ...renderFields(fields, '  '),
    '',
    'Next:',
    `  npx tandem init --model <file.onnx> --table ${shellWord(table)} --key ${shellWord(key)}`,
  ];
}
