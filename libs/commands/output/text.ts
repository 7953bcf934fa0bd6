/**
 * Renders text for people: numbers and times, aligned columns, and sentences that are wrapped at spaces or cut to a
 * line.
 */
import { stripVTControlCharacters } from 'node:util';

/** Renders a number as `2,357`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/**
 * Renders `1 core` or `2,357 cores`.
 * @param many the plural, if it is not the singular with an s
 */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Renders `0.8 s`, `42 s`, `3 min 20 s`, `8 h 50 min` or `2 d 4 h`. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 0.0995) return `${Math.round(ms)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const [unit, small, unitName, smallName] =
    whole < 3600 ? [60, 1, 'min', 's'] : whole < 86_400 ? [3600, 60, 'h', 'min'] : [86_400, 3600, 'd', 'h'];
  const [whole1, whole2] = [Math.floor(whole / unit), Math.floor((whole % unit) / small)];
  return whole2 === 0 ? `${whole1} ${unitName}` : `${whole1} ${unitName} ${whole2} ${smallName}`;
}

/** Renders the time since a moment: `8 h 50 min ago`, or `never` without a moment. */
export function ago(moment: string | null, now: number): string {
  if (moment === null) return 'never';
  return `${duration(Math.max(0, now - Date.parse(moment)))} ago`;
}

/** Renders an ISO moment in UTC as `2026-11-24 02:00:11`. */
export function moment(iso: string | null): string {
  return iso === null ? '' : iso.slice(0, 19).replace('T', ' ');
}

interface TitledColumn {
  readonly title: string;
  readonly align?: 'right';
}

/** A column; a plain title means that it is aligned left. */
type Column = string | TitledColumn;

/** Returns a column of numbers, which is aligned right. */
export function right(title: string): TitledColumn {
  return { title, align: 'right' };
}

/**
 * Renders a table with a head. Columns are separated by two spaces, and lines have no trailing spaces. Cells may have
 * colours.
 */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const titled = columns.map((column): TitledColumn => (typeof column === 'string' ? { title: column } : column));
  const head = titled.map(({ title }) => title);
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => visibleWidth(row[i] ?? ''))));
  return [head, ...rows].map((row) =>
    titled
      .map(({ align }, i) => pad(row[i] ?? '', widths[i] ?? 0, align === 'right'))
      .join('  ')
      .trimEnd(),
  );
}

/** A named value; null leaves the field out. */
type Field = readonly [name: string, value: string | null];

/** Renders lines `name  value` with aligned values. */
export function renderFields(fields: readonly Field[], indent = ''): string[] {
  const shown = fields.filter(([, value]) => value !== null);
  const width = Math.max(0, ...shown.map(([name]) => visibleWidth(name)));
  return shown.map(([name, value]) => `${indent}${pad(name, width, false)}  ${value}`.trimEnd());
}

/**
 * Makes text from other sources safe for a terminal: control characters, which could move the cursor or change colours,
 * become `?`.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern finds control characters
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

function pad(text: string, width: number, right: boolean): string {
  const space = ' '.repeat(Math.max(0, width - visibleWidth(text)));
  return right ? space + text : text + space;
}

/** Returns the visible width of a text with colours. */
function visibleWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

/** The most characters of a line. */
const LINE = 100;
/** The least width of a sentence, even if other columns leave less. */
const LEAST = 30;

/** Wraps a text at spaces. A word longer than a line gets its own line, and a number stays with its `%`. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/ (?!%)/)) {
    const last = lines.at(-1);
    if (last !== undefined && visibleWidth(`${last} ${word}`) <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Returns the text, or its beginning and `…`. */
export function clip(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width
    ? text
    : `${characters
        .slice(0, width - 1)
        .join('')
        .trimEnd()}…`;
}

/** Renders a value that continues on further lines. */
export function renderWrappedFields(fields: readonly Field[]): string[] {
  const shown = fields.flatMap(([name, value]) => (value === null ? [] : [{ name, value }]));
  const width = LINE - 2 - Math.max(0, ...shown.map(({ name }) => name.length));
  return renderFields(
    shown.flatMap(({ name, value }) => wrap(value, width).map((line, i) => [i === 0 ? name : '', line] as const)),
  );
}

/** Renders a table whose last column is a sentence, which continues on further lines. */
export function renderSentences(
  columns: readonly Column[],
  rows: readonly (readonly [...cells: string[], sentence: string])[],
): string[] {
  const width = widthBeside(columns, rows);
  const broken = rows.flatMap((row) => {
    const cells = row.slice(0, -1);
    return wrap(row.at(-1) ?? '', width).map((line, i) => [...(i === 0 ? cells : cells.map(() => '')), line]);
  });
  return renderTable(columns, broken);
}

/** Renders a table like `renderTable`, with each sentence cut to one line. */
export function renderClipped(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const width = widthBeside(columns, rows);
  return renderTable(
    columns,
    rows.map((row) => [...row.slice(0, -1), clip(row.at(-1) ?? '', width)]),
  );
}

/** Returns the width that a table leaves for its last column. */
function widthBeside(columns: readonly Column[], rows: readonly (readonly string[])[]): number {
  const narrow = renderTable(
    columns.slice(0, -1),
    rows.map((row) => row.slice(0, -1)),
  );
  return Math.max(LEAST, LINE - 2 - Math.max(...narrow.map((line) => visibleWidth(line))));
}

/** Returns a text as one word of a shell command, quoted if necessary. */
export function shellWord(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Returns an argument that may begin with a dash, such as a user id, in a form that is not parsed as an option. */
export function shellOperand(text: string): string {
  return text.startsWith('-') ? `-- ${shellWord(text)}` : shellWord(text);
}
