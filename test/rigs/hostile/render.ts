/**
 * Renders the text of a corpus file as bytes. Lines up to the first empty line are the header section, and end with
 * CRLF. The rest is the body, unchanged. `{{…}}` stands for bytes that a text cannot hold, or that depend on the
 * service:
 *
 * - `{{hex 00 ff}}`: these bytes; `{{crlf}}`: CRLF; at the end of a line, `{{lf}}` ends it with LF, and `{{end}}` with
 *   nothing
 * - `{{repeat 9000 x}}`: a text n times; `{{rows 100000 "#"}}`: a text n times with its number for `#`, separated by
 *   commas
 * - `{{length}}`, `{{length +1}}`: the length of the body in bytes, or a different number
 * - `{{time -3600}}`: the current time plus these seconds, as RFC 3339
 * - `{{run}}`, `{{token}}`, `{{etag}}`: the service's run id, context token and entity tag; `{{unique}}`: a new text
 *   each time
 * - `{{number}}`: the number of the request among those sent at once, from 1
 * - `{{pause 200}}`: a pause in milliseconds
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

/** Splits head and body. Without an empty line, the request stops within its headers. */
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
