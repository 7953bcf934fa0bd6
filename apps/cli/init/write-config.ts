/** Writes a config for a table and a model, as a person would write it. Open decisions are marked. */

import { count } from '@tandem/commands/output/text';
import { aliasSql } from '@tandem/config/adoption/model-inputs';
import { keyText, quote } from '@tandem/prediction/models/input-fit';
import type { InputMatch, MatchedFeature } from './match-inputs.ts';
import type { MatchedOutput } from './match-outputs.ts';
import { isPadded, kindOf, type TableFacts } from './table-facts.ts';

interface ConfigParts {
  readonly predictor: string;
  /** The path relative to the config. */
  readonly model: string;
  readonly table: TableFacts;
  readonly inputs: InputMatch;
  readonly outputs: readonly MatchedOutput[];
  /** Whether the model takes only one user at a time. */
  readonly rowByRow: boolean;
}

const SETTING = '      ';
const INNER = '        ';

export function writeConfig(parts: ConfigParts): string {
  const lines = [
    "import { defineConfig } from 'tandem';",
    '',
    'export default defineConfig({',
    '  predictors: {',
    `    ${keyText(parts.predictor)}: {`,
    `${SETTING}model: ${quote(parts.model)},`,
    ...featureLines(parts),
    ...inputLines(parts.inputs),
    ...outputLines(parts.outputs),
    ...(parts.rowByRow
      ? [...comment('The model was exported for one user at a time.', SETTING), `${SETTING}rowByRow: true,`]
      : []),
    ...policyLines(),
    '    },',
    '  },',
    '});',
  ];
  return `${lines.join('\n')}\n`;
}

function featureLines({ table, inputs }: ConfigParts): string[] {
  return [
    `${SETTING}features: {`,
    ...inputs.undecided.flatMap((text) => comment(`TO DECIDE: ${text}.`, INNER)),
    ...inputs.remarks.flatMap((text) => comment(`${sentence(text)}.`, INNER)),
    ...leftOutLines(inputs),
    ...queryLines(table, inputs),
    ...asOfLines(inputs),
    ...nullLines(table, inputs),
    ...categoryLines(inputs, table),
    ...watchLines(table),
    `${SETTING}},`,
  ];
}

function leftOutLines({ leftOut }: InputMatch): string[] {
  const reasons = [...new Set(leftOut.map(({ why }) => why))];
  return reasons.flatMap((why) => {
    const names = leftOut.filter((one) => one.why === why).map(({ column }) => column.name);
    return comment(`Left out: ${names.join(', ')} (${why}).`, INNER);
  });
}

function queryLines({ key: { column }, sql }: TableFacts, { features, asOf }: InputMatch): string[] {
  const keySql = keyExpression(column);
  const selected = [
    column.sql === 'user_id' && keySql === column.sql ? 'user_id' : `${keySql} as user_id`,
    ...features.map(selectItem),
    ...(asOf ? [asOf.sql] : []),
  ];
  const where = column.nulls ? [`          where ${column.sql} is not null`] : [];
  const items = selected.map((item, i) => `            ${item}${i < selected.length - 1 ? ',' : ''}`);
  const query = ['          select', ...items, `          from ${sql}`, ...where].map(inTemplate);
  return [`${INNER}sql: \``, ...query, `${INNER}\`,`];
}

/** Returns the SQL of the key. Keys are integers, uuids or texts; any other type is cast to text. */
export function keyExpression(column: TableFacts['key']['column']): string {
  const kind = kindOf(column);
  if (kind === 'integer' || column.type === 'uuid' || (kind === 'text' && !isPadded(column))) return column.sql;
  return `${column.sql}::${kind === 'numeric' ? 'bigint' : 'text'}`;
}

function selectItem({ name, sql, column }: MatchedFeature): string {
  return sql === column.sql && name === column.name ? sql : `${sql} as ${aliasSql(name)}`;
}

function asOfLines({ asOf }: InputMatch): string[] {
  if (!asOf) {
    const lacks =
      'Without asOf (a column of the query with the load time of the row) or overlayFor, events only say that a user has changed; their values are ignored.';
    return comment(lacks, INNER);
  }
  const text = 'The load time of the row. The row overrides values of events that were sent before.';
  return [...comment(text, INNER), `${INNER}asOf: ${quote(asOf.name)},`];
}

function nullLines({ texts, rows }: TableFacts, { features }: InputMatch): string[] {
  const missing = features.flatMap((feature) => {
    const { column, sql } = feature;
    const blanks = sql.startsWith('nullif') ? (texts.get(column.name)?.blanks ?? 0) : 0;
    const many = (column.nulls ?? 0) + blanks;
    return many > 0 ? [{ name: feature.name, many, value: nullFor(feature) }] : [];
  });
  if (missing.length === 0) return [];
  const counts = missing.map(({ name, many }) => `${name} (${count(many)})`).join(', ');
  const text = `Users with a null are not scored: ${counts} of ${rows === null ? 'all' : count(rows)} rows. Set the value that the training used for nulls: 'nan' is usual for trees, 0 or a mean for other models.`;
  const entries = missing.map(({ name, value }) => `${keyText(name)}: ${value}`);
  return [...comment(text, INNER), ...comment(`nulls: { ${entries.join(', ')} },`, INNER)];
}

/** Returns a first value that fits the type of the tensor. */
function nullFor({ type, oneHot }: MatchedFeature): string {
  if (type === 'string' || oneHot) return "''";
  if (type.startsWith('float')) return "'nan'";
  return type === 'bool' ? 'false' : '0';
}

function categoryLines({ features, asIndex }: InputMatch, { texts }: TableFacts): string[] {
  const oneHot = features.filter(({ oneHot }) => oneHot !== undefined);
  if (oneHot.length > 0) {
    const text = 'One value for each text, in alphabetical order, as in scikit-learn and pandas.';
    const entries = oneHot.flatMap(({ name, oneHot: values = [] }) => [
      `${INNER}  ${keyText(name)}: {`,
      ...list('values', values, `${INNER}    `),
      `${INNER}    as: 'one-hot',`,
      `${INNER}  },`,
    ]);
    return [...comment(text, INNER), `${INNER}categories: {`, ...entries, `${INNER}},`];
  }
  if (asIndex.length === 0) return [];
  const entries = asIndex.map(
    ({ name }) => `${keyText(name)}: [${(texts.get(name)?.values ?? []).map(quote).join(', ')}]`,
  );
  const text =
    'To encode each text as one number, which is its place in the list (from 0), list the texts in the order of the training:';
  return [...comment(text, INNER), ...comment(`categories: { ${entries.join(', ')} },`, INNER)];
}

function watchLines({ isWatchable, sql, key: { column } }: TableFacts): string[] {
  if (!isWatchable) {
    const text =
      'Changes of the tables beneath this view take effect at the next run. If they should take effect at once, name the tables:';
    return [...comment(text, INNER), ...comment("watch: [{ table: 'orders', key: 'customer_id' }],", INNER)];
  }
  const text = 'A change of a row takes effect at the next read: adopting this creates triggers on the table.';
  const entry = `watch: [{ table: ${quote(sql)}, key: ${quote(keyExpression(column))} }],`;
  return [...comment(text, INNER), `${INNER}${entry}`];
}

function inputLines({ inputs }: InputMatch): string[] {
  if (inputs === null) return [];
  const entries = inputs.flatMap(({ name, type, columns }) => [
    `${INNER}${keyText(name)}: {`,
    `${INNER}  type: ${quote(type)},`,
    ...list('columns', columns, `${INNER}  `),
    `${INNER}},`,
  ]);
  return [`${SETTING}inputs: {`, ...entries, `${SETTING}},`];
}

function outputLines(outputs: readonly MatchedOutput[]): string[] {
  const lines = outputs.flatMap(({ field, from, type, index, width, note }) => {
    const settings = [
      `from: ${quote(from)}`,
      `type: ${quote(type)}`,
      ...(index === undefined ? [] : [`index: ${index}`]),
      ...(width === undefined ? [] : [`width: ${width}`]),
    ];
    const isShort = field === from && index === undefined && width === undefined;
    const value = isShort ? quote(type) : `{ ${settings.join(', ')} }`;
    return [...(note === undefined ? [] : comment(note, INNER)), `${INNER}${keyText(field)}: ${value},`];
  });
  return [`${SETTING}outputs: {`, ...lines, `${SETTING}},`];
}

function policyLines(): string[] {
  return [
    `${SETTING}freshness: {`,
    ...comment(
      'A read of an older prediction computes it again. This must be longer than the time between two runs.',
      INNER,
    ),
    `${INNER}maxAge: '36h',`,
    ...comment(
      'The longest time that a read of a changed user waits for the model before it returns the stored prediction. Inference usually takes milliseconds, but longer on a busy machine.',
      INNER,
    ),
    `${INNER}liveTimeout: '250ms',`,
    ...comment("The types of events that mean that a user has changed, such as 'order.*'.", INNER),
    `${INNER}events: ['*'],`,
    `${SETTING}},`,
    `${SETTING}batch: {`,
    ...comment('All users, every night at 02:00 UTC.', INNER),
    `${INNER}schedule: '0 2 * * *',`,
    `${SETTING}},`,
  ];
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const WIDTH = 120;

/** Returns `name: [ … ],` on one line if it fits, otherwise with one line for each entry. */
function list(name: string, entries: readonly string[], indent: string): string[] {
  const line = `${indent}${keyText(name)}: [${entries.map(quote).join(', ')}],`;
  if (line.length <= WIDTH) return [line];
  return [`${indent}${keyText(name)}: [`, ...entries.map((entry) => `${indent}  ${quote(entry)},`), `${indent}],`];
}

/** Wraps a text into comment lines. */
function comment(text: string, indent: string): string[] {
  const room = WIDTH - indent.length - 3;
  const lines: string[] = [];
  for (const word of printable(text).split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && `${last} ${word}`.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => `${indent}// ${line}`);
}

/** Removes line breaks from names and texts of the table, because they would end a comment. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ');
}

/** Escapes a text for a template literal, which would turn a raw carriage return into a line feed. */
function inTemplate(text: string): string {
  return text.replace(/[\\`]|\$(?=\{)/g, '\\$&').replaceAll('\r', '\\r');
}
