/** Reads text files in UTF-8, of any length. Other bytes are rejected: replaced characters would change ids. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { CommandFailure, unreadable } from './failure.ts';

/** Bytes in one read. */
const READ_BYTES = 1 << 18;

/** Returns a failure that names the line. */
export function lineFailure(file: string, line: number, problem: string, remedy: string): CommandFailure {
  return new CommandFailure(`${file}, line ${line}: ${problem}`, { remedy });
}

/** Yields the pieces of the file, without a byte order mark. Rejects with a CommandFailure that names the line. */
export async function* readTexts(file: string): AsyncGenerator<string> {
  // The decoder removes a byte order mark.
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let lines = 1;
  let bytes = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: READ_BYTES })) {
      bytes = chunk as Buffer<ArrayBuffer>;
      const text = decoder.decode(bytes, { stream: true });
      yield text;
      lines += countOf('\n', text);
    }
    yield decoder.decode();
  } catch (error) {
    if (error instanceof TypeError && 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      throw notUtf8(file, lines, bytes);
    }
    if (!(error instanceof Error) || !('syscall' in error)) throw error;
    throw unreadable(file, error);
  }
}

/**
 * Returns the failure for bytes that are not UTF-8.
 * @param lines the line in which the bytes begin
 */
function notUtf8(file: string, lines: number, bytes: Buffer): CommandFailure {
  const isUtf16 = ['fffe', 'feff'].includes(bytes.toString('hex', 0, 2));
  if (bytes.includes(0) && !isUtf16) {
    return new CommandFailure(`${file} is not a text file: it has NUL bytes`, { remedy: 'name a text file in UTF-8' });
  }
  const before = bytes.toString('utf8').split('\ufffd', 1)[0] ?? '';
  const remedy = `convert it: iconv -f ${isUtf16 ? 'utf-16' : 'latin1'} -t utf-8`;
  return lineFailure(file, lines + countOf('\n', before), 'it is not UTF-8', remedy);
}

/** Yields the lines of the file, also empty ones. Rejects as `readTexts` does. */
export function readLines(file: string): AsyncIterable<string> {
  return createInterface({ input: Readable.from(readTexts(file)), crlfDelay: Number.POSITIVE_INFINITY });
}

export function countOf(character: string, text: string): number {
  let found = 0;
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) found++;
  return found;
}
