/** Text for people: numbers and times, aligned columns, and sentences that are broken at spaces or cut to a line. */
import { stripVTControlCharacters } from 'node:util';

/** `2,357`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `1 core`, `2,357 cores`. @param many the plural, unless it ends in an s alone */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `0.8 s`, `42 s`, `3 min 20 s`, `8 h 50 min`, `2 d 4 h`. */
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

/** How long ago a moment was: `8 h 50 min ago`; `never` where there is none. */
export function ago(moment: string | null, now: number): string {
  if (moment === null) return 'never';
  return `${duration(Math.max(0, now - Date.parse(moment)))} ago`;
}

/** `2026-11-24 02:00:11` of an ISO moment, in UTC. */
export function moment(iso: string | null): string {
  return iso === null ? '' : iso.slice(0, 19).replace('T', ' ');
}

interface TitledColumn {
  readonly title: string;
  readonly align?: 'right';
}

/** A column given by its title is aligned left. */
type Column = string | TitledColumn;

/** A column of numbers, aligned right. */
export function right(title: string): TitledColumn {
  return { title, align: 'right' };
}

/** Lines of a table with a head; two spaces between columns, none at a line's end. Cells may hold colours. */
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

/** Lines `name  value`, the values aligned. */
export function renderFields(fields: readonly (readonly [name: string, value: string])[], indent = ''): string[] {
  const width = Math.max(0, ...fields.map(([name]) => visibleWidth(name)));
  return fields.map(([name, value]) => `${indent}${pad(name, width, false)}  ${value}`.trimEnd());
}

/** Text from elsewhere, safe on a terminal: control characters, which could move the cursor or lie in colour, become `?`. */
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

/** Characters of a line: as much as two terminals side by side have. */
const LINE = 100;
/** The least width, even if other columns leave less. */
const LEAST = 30;

/** Words longer than a line stand on one of their own; a figure stays with its `%`. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/ (?!%)/)) {
    const last = lines.at(-1);
    if (last !== undefined && visibleWidth(`${last} ${word}`) <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** The text, or its begin and `…`. */
export function clip(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width
    ? text
    : `${characters
        .slice(0, width - 1)
        .join('')
        .trimEnd()}…`;
}

/** A value that continues on further lines. */
export function renderWrappedFields(fields: readonly (readonly [name: string, value: string])[]): string[] {
  const width = LINE - 2 - Math.max(0, ...fields.map(([name]) => name.length));
  return renderFields(
    fields.flatMap(([name, value]) => wrap(value, width).map((line, i) => [i === 0 ? name : '', line] as const)),
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

/** Returns a text as one word of a shell's command line, in quotes where it needs them. */
export function shellWord(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Returns an argument that may begin with a dash, such as a user id, so that it is not taken for an option. */
export function shellOperand(text: string): string {
  return text.startsWith('-') ? `-- ${shellWord(text)}` : shellWord(text);
}
