/** Renders the result of `init`: matched and unmatched inputs, and the next steps. */
import { dirname, join, relative } from 'node:path';
import type { Cli } from '@tandem/commands/command';
import { count, printable, renderTable, shellWord } from '@tandem/commands/output/text';
import { describeTensor } from '@tandem/prediction/models/verification';
import { KEEP_SERVED, withdrawalText } from '../check/read-config.ts';
import { DEFAULT_CONFIG, type InitResult } from './init-config.ts';
import type { TableFacts } from './table-facts.ts';
import { keyExpression } from './write-config.ts';

export function renderInit({ cwd, paint }: Cli, result: InitResult): string[] {
  const { file, table, inputs } = result;
  const path = relative(cwd, file) || file;
  const option = path === DEFAULT_CONFIG ? '' : ` --config ${shellWord(path)}`;
  const rows = table.rows === null ? '' : ` (${count(table.rows)} rows)`;
  const notes = [
    ...keyNotes(result.table),
    ...inputs.remarks,
    ...asOfNotes(result),
    ...nullNotes(result),
    ...watchNotes(result.table),
    ...besideNotes(result, path),
  ];
  return [
    `${path}: predictor ${result.predictor}, features from ${printable(table.sql)}${rows}`,
    '',
    ...renderTable(['model', '', 'table or answer'], mapping(result)).map(printable),
    '',
    ...inputs.leftOut.map(({ column, why }) => `left out  ${printable(column.name)}: ${why}`),
    ...notes.map((note) => `${paint('warn', 'note')}      ${printable(note)}`),
    ...inputs.undecided.map((what) => `${paint('bad', 'decide')}    ${printable(what)}`),
    '',
    paint('strong', inputs.undecided.length > 0 ? `Next: decide these points in ${path}, then run` : 'Next:'),
    ...(result.isMigrated ? [] : ['  npx tandem migrate']),
    `  npx tandem check${option}`,
    `  npx tandem up${upText(result, path, option)}`,
  ];
}

/** Returns whether the file can be adopted without another config. */
function standsAlone({ served, isBeside, isReplacing }: BesideFacts): boolean {
  return served.length === 0 && (!isBeside || isReplacing);
}

/** Returns whether the predictor belongs in the tandem.config.ts of the folder, which has none of this name yet. */
function isToMove({ isBeside, isReplacing }: BesideFacts): boolean {
  return isBeside && !isReplacing;
}

/** Returns what follows `tandem up`: the config that has all predictors. */
function upText(result: InitResult, path: string, option: string): string {
  if (standsAlone(result)) return option;
  if (!isToMove(result)) return `${option}, after it has all predictors`;
  const place = join(dirname(path), DEFAULT_CONFIG);
  return `${place === DEFAULT_CONFIG ? '' : ` --config ${shellWord(place)}`}, after you moved it`;
}

function watchNotes({ isWatchable, sql }: TableFacts): string[] {
  if (!isWatchable)
    return [`changes of the tables beneath ${sql} take effect at the next run, unless features.watch names the tables`];
  return [
    `a change of a row of ${sql} takes effect at the next read: adopting creates triggers on the table (features.watch)`,
  ];
}

type BesideFacts = Pick<InitResult, 'predictor' | 'served' | 'isBeside' | 'isReplacing'>;

/** Returns notes if other predictors exist: all predictors of an installation must be in one config. */
export function besideNotes(result: BesideFacts, path: string): string[] {
  const { served, predictor, isReplacing } = result;
  const place = join(dirname(path), DEFAULT_CONFIG);
  const both = served.length > 1 ? 'all' : 'both';
  return [
    ...(isReplacing ? [`adopting this config replaces the served predictor ${predictor}`] : []),
    ...(served.length === 0 ? [] : [withdrawalText(served, path)]),
    ...(standsAlone(result)
      ? []
      : [isToMove(result) ? `to serve ${both}, move ${predictor} to \`predictors\` of ${place}` : KEEP_SERVED]),
  ];
}

function asOfNotes({ inputs: { asOf } }: InitResult): string[] {
  if (!asOf) return [];
  return [
    `assumed that ${asOf.name} is the load time of the row (features.asOf): the row overrides values of earlier events`,
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

/** Returns remarks on the key, in sentences. */
export function keyNotes({ key, sql }: TableFacts): string[] {
  const { column, unique, isIndexable } = key;
  const expression = keyExpression(column);
  const isCast = expression !== column.sql;
  const index = `create unique index on ${sql} (${isCast ? `(${expression})` : expression})`;
  const quick = isIndexable
    ? `an index makes reads of one user fast: ${index}`
    : `whether a read of one user is fast depends on the tables beneath ${sql}; check shows it`;
  return [
    ...(isCast
      ? [
          `${column.name} has type ${column.type}, but user ids are integers, uuids or texts, so it is cast: ${expression}`,
        ]
      : []),
    ...(unique === null ? [`whether ${column.name} is unique could not be checked in time`] : []),
    ...(unique === 'index' && !isCast ? [] : [quick]),
    ...(column.nulls
      ? [`${count(column.nulls)} rows without ${article(column.name)} ${column.name} are not read`]
      : []),
  ];
}

function article(name: string): string {
  return /^[aeio]/i.test(name) ? 'an' : 'a';
}

function nullNotes({ inputs: { features }, table: { texts } }: InitResult): string[] {
  const missing = features.filter(
    ({ column, sql }) => column.nulls || (sql.startsWith('nullif') && texts.get(column.name)?.blanks),
  );
  if (missing.length === 0) return [];
  const names = missing.map(({ column }) => column.name).join(', ');
  return [`users with a null in ${names} are not scored until features.nulls has a value for it`];
}
