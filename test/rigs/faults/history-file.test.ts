import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Change, Operation } from './history.ts';
import { openHistory, readHistory, toEach } from './history-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-history-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const change = (i: number): Change => ({ kind: 'change', at: i, ended: i + 0.25, userId: `Zoë ${i}`, score: i });

async function readAll(path: string): Promise<readonly Operation[]> {
  const all: Operation[] = [];
  for await (const piece of readHistory(path)) all.push(...piece);
  return all;
}

it('reads the written operations in order, over many pieces of the file', async () => {
  const path = join(folder, 'history.ndjson');
  const written = Array.from({ length: 40_000 }, (_, i) => change(i));
  const sink = openHistory(path);
  for (const operation of written) sink.write(operation);
  sink.close();
  expect(await readAll(path)).toEqual(written);
});

it('appends to an existing file, and skips a truncated line', async () => {
  const path = join(folder, 'history.ndjson');
  for (const i of [1, 2]) {
    const sink = openHistory(path);
    sink.write(change(i));
    sink.close();
  }
  appendFileSync(path, '{"kind":"change","at":3');
  expect(await readAll(path)).toEqual([change(1), change(2)]);
});

it('writes to several sinks at once', async () => {
  const paths = [join(folder, 'a'), join(folder, 'b')];
  const sink = toEach(paths.map(openHistory));
  sink.write(change(1));
  sink.close();
  for (const path of paths) expect(await readAll(path)).toEqual([change(1)]);
});
