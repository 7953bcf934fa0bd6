/** Aligned columns of text. */
import { stripVTControlCharacters } from 'node:util';

export interface Column {
  readonly title: string;
  /** Numbers stand at the right. */
  readonly align?: 'right';
}

/** Lines of a table with a head; two spaces between columns, none at a line's end. Cells may hold colours. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const head = columns.map((column) => column.title);
  const widths = columns.map((_, i) => Math.max(...[head, ...rows].map((row) => visibleWidth(row[i] ?? ''))));
  return [head, ...rows].map((row) =>
    columns
      .map((column, i) => pad(row[i] ?? '', widths[i] ?? 0, column.align === 'right'))
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
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

function pad(text: string, width: number, right: boolean): string {
  const space = ' '.repeat(Math.max(0, width - visibleWidth(text)));
  return right ? space + text : text + space;
}

/** Of a text with colours. */
export function visibleWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}
