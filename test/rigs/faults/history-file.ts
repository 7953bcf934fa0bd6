/** Writes the file of a history during a run, and reads it afterwards. */
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import type { HistorySink, Operation } from './history.ts';

/**
 * The size of a block that is written at once. A killed rig loses one block at most, and a sink needs no more memory.
 */
const BLOCK_CHARACTERS = 256 * 1024;

/** Appends to a file. Writing is synchronous, so that a slow disk slows the load and memory stays flat. */
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

/** Makes a sink that writes to several sinks, such as a file and a checker. */
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

/** Reads the operations of a file in order, a piece of the file at a time. */
export async function* readHistory(path: string): AsyncGenerator<readonly Operation[]> {
  let rest = '';
  for await (const piece of createReadStream(path, { encoding: 'utf8', highWaterMark: 1024 * 1024 })) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    yield lines.map((line) => JSON.parse(line) as Operation);
  }
  // A killed rig may leave a truncated line, which is skipped.
}
