/** A history's file: written while it happens, read again afterwards. */
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import type { HistorySink, Operation } from './history.ts';

/** Text kept before it is written at once: what a killed rig loses, and all the memory that a sink takes. */
const BLOCK_CHARACTERS = 256 * 1024;

/** Appends to a file. Writing is synchronous: a disk that does not keep up slows the load, and memory stays flat. */
export function openHistory(path: string): HistorySink {
  const file = openSync(path, 'a');
  let block = '';
  const flush = () => {
    if (block !== '') writeWhole(file, Buffer.from(block));
    block = '';
  };
  return {
    write(operation) {
      block += `${JSON.stringify(operation)}\n`;
      if (block.length >= BLOCK_CHARACTERS) flush();
    },
    close() {
      flush();
      closeSync(file);
    },
  };
}

function writeWhole(file: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
}

/** Tells several at once: a file and a checker beside it. */
export function toEach(sinks: readonly HistorySink[]): HistorySink {
  return {
    write(operation) {
      for (const sink of sinks) sink.write(operation);
    },
    close() {
      for (const sink of sinks) sink.close();
    },
  };
}

/** The operations of a file in its order, as many at a time as a piece of the file holds. */
export async function* readHistory(path: string): AsyncGenerator<readonly Operation[]> {
  let rest = '';
  for await (const piece of createReadStream(path, { encoding: 'utf8', highWaterMark: 1024 * 1024 })) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    yield lines.map((line) => JSON.parse(line) as Operation);
  }
  // A killed rig may leave half a line, which tells nothing.
}
