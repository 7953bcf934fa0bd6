/**
 * The text of a corpus file as bytes. Lines up to the first empty one are the header section, each ended by CRLF; what
 * follows is the body, as it stands. In `{{…}}` stands what cannot be written, or depends on the service:
 *
 * - `{{hex 00 ff}}` these bytes; `{{crlf}}`; `{{lf}}` at a line's end: LF alone ends it; `{{end}}`: nothing ends it
 * - `{{repeat 9000 x}}` a text so often; `{{rows 100000 "#"}}`: so often with its number for `#`, commas between
 * - `{{length}}`, `{{length +1}}`: the body's bytes, or so many more
 * - `{{time -3600}}`: now, in seconds more or less, as RFC 3339
 * - `{{run}}`, `{{token}}`, `{{etag}}`: of the service's own run, context token and entity tag; `{{unique}}`: another text
 *   each time
 * - `{{number}}`: which this is of those that are sent in one go, from 1
 * - `{{pause 200}}`: milliseconds that nothing is sent
 */
import { randomUUID } from 'node:crypto';

export interface Facts {
  readonly runId: string;
  readonly contextToken: string;
  readonly etag: string;
  readonly number?: number;
}

/** Bytes to send, or milliseconds to wait. */
export type Piece = Buffer | number;

export function render(text: string, facts: Facts): readonly Piece[] {
  const [head, body] = split(text);
  const bodyPieces = fill(body, facts, 0);
  const length = bodyPieces.reduce<number>((sum, piece) => sum + (typeof piece === 'number' ? 0 : piece.length), 0);
  const lines = head.split('\n').map((line) => (/\{\{(lf|end)\}\}$/.test(line) ? line : `${line}{{crlf}}`));
  return merge([...fill(lines.join(''), facts, length), ...bodyPieces]);
}

/** A section without an empty line has no end: the request stops within its headers. */
function split(text: string): [head: string, body: string] {
  const at = text.indexOf('\n\n');
  return at < 0 ? [text, ''] : [text.slice(0, at + 1), text.slice(at + 2)];
}

const DIRECTIVE = /\{\{([a-z]+)(?: (.*?))?\}\}(?!\})/gs;

function fill(text: string, facts: Facts, length: number): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(DIRECTIVE)) {
    pieces.push(Buffer.from(text.slice(from, match.index)), directive(match[1] ?? '', match[2] ?? '', facts, length));
    from = match.index + match[0].length;
  }
  return [...pieces, Buffer.from(text.slice(from))];
}

function directive(name: string, value: string, facts: Facts, length: number): Piece {
  if (name === 'pause') return Number(value);
  if (name === 'hex') return Buffer.from(value.replaceAll(' ', ''), 'hex');
  return Buffer.from(textOf(name, value, facts, length));
}

function textOf(name: string, value: string, facts: Facts, length: number): string {
  const [count = '', ...rest] = value.split(' ');
  switch (name) {
    case 'crlf':
      return '\r\n';
    case 'lf':
      return '\n';
    case 'end':
      return '';
    case 'repeat':
      return rest.join(' ').replaceAll('{{crlf}}', '\r\n').repeat(Number(count));
    case 'rows':
      return Array.from({ length: Number(count) }, (_, i) => rest.join(' ').replaceAll('#', String(i))).join(',');
    case 'length':
      return String(length + Number(value));
    case 'time':
      return new Date(Date.now() + Number(value) * 1_000).toISOString();
    case 'run':
      return facts.runId;
    case 'token':
      return facts.contextToken;
    case 'etag':
      return facts.etag;
    case 'number':
      return String(facts.number ?? 1);
    case 'unique':
      return randomUUID();
    default:
      throw new Error(`no directive is called ${name}`);
  }
}

function merge(pieces: readonly Piece[]): readonly Piece[] {
  const merged: Piece[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    if (typeof piece === 'number' || !Buffer.isBuffer(last)) merged.push(piece);
    else merged[merged.length - 1] = Buffer.concat([last, piece]);
  }
  return merged;
}
