/** TypeScript as the formatter leaves it: single quotes, 120 columns, keys quoted only where they must be. */
import { keyText, quote } from '@tandem/prediction/models/input-fit';

const WIDTH = 120;

/** `name: [ … ],` on one line where it fits, else an entry a line. */
export function list(name: string, entries: readonly string[], indent: string): string[] {
  const line = `${indent}${keyText(name)}: [${entries.map(quote).join(', ')}],`;
  if (line.length <= WIDTH) return [line];
  return [`${indent}${keyText(name)}: [`, ...entries.map((entry) => `${indent}  ${quote(entry)},`), `${indent}],`];
}

/** Words in lines of comment. */
export function comment(text: string, indent: string): string[] {
  const room = WIDTH - indent.length - 3;
  const lines: string[] = [];
  for (const word of printable(text).split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && `${last} ${word}`.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => `${indent}// ${line}`);
}

/** Names and texts of the table could hold line breaks, which would end a comment. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ');
}

/** Text inside a template literal, which turns a carriage return as such into a line feed. */
export function inTemplate(text: string): string {
  return text.replace(/[\\`]|\$(?=\{)/g, '\\$&').replaceAll('\r', '\\r');
}
