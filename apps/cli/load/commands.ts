/** `tandem load`: creates a table from a CSV file. */
import { resolve } from 'node:path';
import { reportNothing } from '@tandem/admission/report-progress';
import { type Cli, createCommand, present } from '@tandem/commands/command';
import { withPool } from '@tandem/commands/environment';
import { createProgressReporter } from '@tandem/commands/output/progress';
import { count, counted, printable, renderFields, shellWord } from '@tandem/commands/output/text';
import type { LoadReport } from './load-csv.ts';

export function loadCommand(cli: Cli) {
  return createCommand({
    name: 'load',
    description: 'create a table with one row for each user from a CSV file',
    detail: `The file must be UTF-8 with values separated by commas, and its first line names the columns. A column gets the narrowest
type that fits all its values: bigint, double precision, boolean (true and false), date, timestamp with time zone
(ISO 8601; without a zone: UTC), or text. Numbers with leading zeros are texts. An empty value is null.
All rows are loaded, or none. An existing table is rejected without --replace, which replaces its rows: if the columns are
the same, it keeps its triggers, indexes and rights. Exit codes: 0 if loaded; 1 if nothing was changed; 2 for wrong usage.`,
    example: 'tandem load customers.csv --key customer_id',
  })
    .argument('<file>')
    .requiredOption('--key <column>', 'the column of user ids, which must be unique; it becomes the primary key')
    .option('--table <name>', 'the table, as table or schema.table (default: the name of the file)')
    .option('--replace', 'replace the rows of an existing table')
    .action(async (file, options) => {
      const { loadCsv } = await import('./load-csv.ts');
      await withPool(cli, { applicationName: 'tandem-load', max: 1 }, async (pool) => {
        const { key, table = null, replace = false } = options;
        const reportProgress = options.json ? reportNothing : createProgressReporter(cli.stderr);
        const report = await loadCsv(pool, { file: resolve(cli.cwd, file), key, table, replace }, reportProgress);
        present(cli, options, report, render);
      });
    });
}

const OUTCOMES: Readonly<Record<LoadReport['outcome'], string>> = {
  created: 'created',
  refilled: 'its rows were replaced',
  recreated: 'dropped and created',
};

function render({ table, outcome, rows, key, columns }: LoadReport): string[] {
  const fields = columns.map(({ name, type, nulls }) => {
    const notes = [...(name === key ? ['primary key'] : []), ...(nulls > 0 ? [`${count(nulls)} null`] : [])];
    return [printable(name), [type, ...notes].join(', ')] as const;
  });
  return [
    `table ${printable(table)} (${OUTCOMES[outcome]}): ${counted(rows, 'row')}`,
    ...renderFields(fields, '  '),
    '',
    'Next:',
    `  npx tandem init --model <file.onnx> --table ${shellWord(table)} --key ${shellWord(key)}`,
  ];
}
