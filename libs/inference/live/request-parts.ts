/** Whether a request is taken on, and the parts in which it waits. */
import type { TandemError } from '@tandem/freshness/errors';
import type { ScoreRequest } from '@tandem/prediction/scoring/scoring';
import { cutInputs, type EncodedInput } from '../tensors/input-tensors.ts';
import type { LiveRoom } from './live-room.ts';
import { overloaded, type Pending } from './pending-request.ts';
import type { Part } from './waiting-line.ts';

/**
 * For want of room, or of time: with the live requests before it, it would be late.
 * @param most rows that may wait
 */
export function refusalOf(
  { rows, priority, version, timeoutMs }: ScoreRequest,
  waiting: number,
  most: number,
  liveRoom: LiveRoom,
): TandemError | undefined {
  const places = Math.max(0, most - waiting);
  const room = priority === 'live' ? Math.min(liveRoom.room(version, timeoutMs), places) : places;
  // A request larger than the line itself is taken when the line is empty, else it could never be.
  const isRefused = rows.length > room && (waiting > 0 || room < places);
  return isRefused ? overloaded(waiting, rows.slice(room), room) : undefined;
}

/** A request in parts of so many rows at most. */
export function cut(
  request: Pending,
  { rows, version }: ScoreRequest,
  whole: readonly EncodedInput[],
  most: number,
): Part<Pending>[] {
  const parts: Part<Pending>[] = [];
  for (let start = 0; start < rows.length; start += most) {
    const count = Math.min(most, rows.length - start);
    const inputs = cutInputs(whole, start, count);
    parts.push({ request, version, start, rows: count, inputs, costMs: 0, suspicions: 0, waiting: false });
  }
  return parts;
}
