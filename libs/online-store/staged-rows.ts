/**
 * Rows on their way into buckets: of each row field and value as Redis' protocol has them, in the order in which the rows
 * came. Sorting them by bucket afterwards moves bytes that lie close together, where rows picked one by one from all over
 * the heap cost twice as much.
 */
import type { ScoredPage } from '@tandem/prediction/runs/generation-loader';
import type { StoredRow } from '@tandem/prediction/runs/run-store';
import { fieldOf, hashOf } from './keys.ts';
import { generationValueLength, writeGenerationValue } from './stored-value.ts';
import { writeEnd, writeLength } from './wire-digits.ts';

export interface StagedRows {
  readonly bytes: Buffer;
  /** Where each row begins, and behind the last, where it ends. */
  readonly offsets: Uint32Array;
  /** Of the users, by row. */
  readonly hashes: Uint32Array;
  readonly rows: number;
  /** Rows that the layout cannot tell: they stay in Postgres alone. */
  readonly skipped: number;
}

/** A row to be staged; its outputs lie from `start` to `stop`. */
interface StageableRow {
  readonly userId: string;
  readonly contextVersion: number;
  /** ms since 1970. */
  readonly computedAt: number;
  readonly outputs: Buffer;
  readonly start: number;
  readonly stop: number;
}

const DOLLAR = 36;
/** Around field and value, with the longest field. */
const ROW_BYTES = 40;
/** What a young user's value takes beside its outputs, and some. */
const VALUE_BYTES = 10;

/** Rows that are staged at a time: a bucket and a row's place among them have to fit into one double. */
export const MAX_STAGED_ROWS = 1 << 20;

/** @param startedAt of the generation, ms since 1970 */
export function* stageRows(rows: readonly StoredRow[], startedAt: number): Generator<StagedRows> {
  for (let first = 0; first < rows.length; first += MAX_STAGED_ROWS) {
    const some = rows.slice(first, first + MAX_STAGED_ROWS);
    const outputBytes = some.reduce((sum, { outputs }) => sum + outputs.length, 0);
    const stage = createStage(some.length, outputBytes, startedAt);
    for (const { userId, contextVersion, computedAt, outputs } of some) {
      stage.add({ userId, contextVersion, computedAt, outputs, start: 0, stop: outputs.length });
    }
    yield stage.staged();
  }
}

export function* stagePages(pages: readonly ScoredPage[], startedAt: number): Generator<StagedRows> {
  let left = pages.reduce((sum, { users }) => sum + users.userIds.length, 0);
  const outputBytes = pages.reduce((sum, { users }) => sum + users.outputs.length, 0);
  let stage: Stage | null = null;
  for (const { users, computedAt } of pages) {
    const { userIds, contextVersions, outputs, offsets } = users;
    for (let i = 0; i < userIds.length; i++, left--) {
      if (stage?.isFull()) {
        yield stage.staged();
        stage = null;
      }
      stage ??= createStage(Math.min(left, MAX_STAGED_ROWS), outputBytes, startedAt);
      const [start, stop] = [offsets[i] as number, offsets[i + 1] as number];
      const contextVersion = contextVersions[i] as number;
      stage.add({ userId: userIds[i] as string, contextVersion, computedAt, outputs, start, stop });
    }
  }
  if (stage) yield stage.staged();
}

interface Stage {
  isFull(): boolean;
  add(row: StageableRow): void;
  staged(): StagedRows;
}

/**
 * @param capacity rows at most
 * @param outputBytes of all rows together, or thereabouts
 * @param startedAt of the generation, ms since 1970
 */
function createStage(capacity: number, outputBytes: number, startedAt: number): Stage {
  let bytes = Buffer.allocUnsafeSlow(capacity * (ROW_BYTES + VALUE_BYTES) + outputBytes);
  const offsets = new Uint32Array(capacity + 1);
  const hashes = new Uint32Array(capacity);
  let rows = 0;
  let skipped = 0;
  let end = 0;

  function makeRoom(least: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(least, bytes.length * 2));
    bytes.copy(larger, 0, 0, end);
    bytes = larger;
  }

  return {
    isFull: () => rows === capacity,
    add({ userId, contextVersion, computedAt, outputs, start, stop }) {
      const length = generationValueLength(contextVersion, computedAt, startedAt, stop - start);
      if (length === 0) {
        skipped++;
        return;
      }
      if (end + ROW_BYTES + length > bytes.length) makeRoom(end + ROW_BYTES + length);
      const hash = hashOf(userId);
      const offsetMs = Math.trunc(computedAt) - Math.trunc(startedAt);
      const at = writeLength(bytes, writeField(bytes, end, fieldOf(userId)), DOLLAR, length);
      const behind = writeGenerationValue(bytes, at, { contextVersion, offsetMs, outputs, start, stop }, hash);
      end = writeEnd(bytes, behind);
      hashes[rows] = hash;
      offsets[++rows] = end;
    },
    staged: () => ({ bytes, offsets, hashes, rows, skipped }),
  };
}

function writeField(bytes: Buffer, start: number, field: string): number {
  // As many bytes as characters, unless one of them is beyond ASCII.
  const at = writeLength(bytes, start, DOLLAR, field.length);
  for (let i = 0; i < field.length; i++) {
    const code = field.charCodeAt(i);
    if (code > 0x7f) {
      const wide = writeLength(bytes, start, DOLLAR, Buffer.byteLength(field));
      return writeEnd(bytes, wide + bytes.write(field, wide));
    }
    bytes[at + i] = code;
  }
  return writeEnd(bytes, at + field.length);
}
