/** What `init` tells of what it wrote: what was matched, what was not, and what to do next. */
import { relative } from 'node:path';
import { describeTensor } from '@tandem/prediction/model-signature';
import type { Cli } from '../cli.ts';
import { count } from '../output/quantities.ts';
import { shellWord } from '../output/shell-word.ts';
import { printable, renderTable } from '../output/table.ts';
import type { InitResult } from './init-config.ts';
import type { TableFacts } from './table-facts.ts';
import { keyExpression } from './write-config.ts';

const DEFAULT_CONFIG = 'tandem.config.ts';

export function renderInit({ cwd, paint }: Cli, result: InitResult): string[] {
  const { file, table, inputs } = result;
  const path = relative(cwd, file) || file;
  const option = path === DEFAULT_CONFIG ? '' : ` --config ${shellWord(path)}`;
  const rows = table.rows === null ? '' : ` (${count(table.rows)} rows)`;
  const notes = [...keyNotes(result.table), ...inputs.remarks, ...nullNotes(result)];
  return [
    `${path}: predictor ${result.predictor}, features from ${printable(table.sql)}${rows}`,
    '',
    ...renderTable([{ title: 'model' }, { title: '' }, { title: 'table or answer' }], mapping(result)).map(printable),
    '',
    ...inputs.leftOut.map(({ column, why }) => `left out  ${printable(column.name)}: ${why}`),
    ...notes.map((note) => `${paint('warn', 'note')}      ${printable(note)}`),
    ...inputs.undecided.map((what) => `${paint('bad', 'decide')}    ${printable(what)}`),
    '',
    paint('strong', inputs.undecided.length > 0 ? `Next: decide these in ${path}, then` : 'Next:'),
    ...(result.isMigrated ? [] : ['  npx tandem migrate']),
    `  npx tandem check${option}`,
    `  npx tandem up${option}`,
  ];
}

function mapping({ tensors, table, inputs, outputs }: InitResult): string[][] {
  const { column } = table.key;
  return [
    ['user id', '←', `${keyExpression(column)} (${column.type})`],
    ...tensors.flatMap((tensor) => {
      const filled = inputs.features.filter(({ input }) => input === tensor.name);
      const lines = filled.map(({ sql, column: { type }, note, oneHot }) => {
        const extra = oneHot ? `one-hot, ${oneHot.length} texts` : note;
        return `${sql} (${type}${extra === undefined ? '' : `, ${extra}`})`;
      });
      return (lines.length === 0 ? ['?'] : lines).map((line, i) => [i === 0 ? describeTensor(tensor) : '', '←', line]);
    }),
    ...outputs.map(({ from, field, type, index, width }) => {
      const part = index === undefined ? (width === undefined ? '' : `, ${width} values`) : `, value ${index}`;
      return [from, '→', `${field} (${type}${part})`];
    }),
  ];
}

/** What a person should know of the key, in sentences. */
export function keyNotes({ key, sql }: TableFacts): string[] {
  const { column, unique, isIndexable } = key;
  const expression = keyExpression(column);
  const isCast = expression !== column.sql;
  const index = `create unique index on ${sql} (${isCast ? `(${expression})` : expression})`;
  const quick = isIndexable
    ? `a read of one user is quick with: ${index}`
    : `whether a read of one user is quick depends on the tables beneath ${sql}: check shows it`;
  return [
    ...(isCast
      ? [`${column.name} is of type ${column.type}, and user ids are integers, uuids or texts: ${expression}`]
      : []),
    ...(unique === null ? [`that ${column.name} is unique was not seen in time`] : []),
    ...(unique === 'index' && !isCast ? [] : [quick]),
    ...(column.nulls ? [`${count(column.nulls)} rows without a ${column.name} are not read`] : []),
  ];
}

function nullNotes({ inputs: { features }, table: { texts } }: InitResult): string[] {
  const missing = features.filter(
    ({ column, sql }) => column.nulls || (sql.startsWith('nullif') && texts.get(column.name)?.blanks),
  );
  if (missing.length === 0) return [];
  const names = missing.map(({ column }) => column.name).join(', ');
  return [`users with a null in ${names} are not scored until features.nulls says what the model is given for it`];
}
