/**
 * Many commands as one, for bulk loads: their bytes are made by hand, and whoever sends them waits for one promise, under
 * one timer. As commands of their own ioredis spent 5.3 µs of CPU on each; this way it is 0.4.
 *
 * ioredis takes a command from the head of its queue for each reply; while replies are still due this one puts itself
 * back, as ioredis' own subscriptions do.
 */
import type { Redis } from 'ioredis';
import { isRefusal } from './connection.ts';
import { type CommandLike, command } from './write-together.ts';

/**
 * The promise gives the sum of the replies, which are to be integers. A refusal (OOM, READONLY) rejects it, once the
 * replies are all there; what else goes wrong (timeout, a lost connection), at once.
 * @param bytes the commands in Redis' protocol
 * @param replies how many they are, at least one
 */
export function bulkCommand(redis: Redis, bytes: Buffer, replies: number): CommandLike {
  const bulk = command('bulk', []);
  bulk.toWritable = () => bytes;
  const place = { command: bulk, stream: undefined, select: redis.condition?.select ?? 0 };
  const settle = bulk.resolve;
  const fail = bulk.reject;
  let left = replies;
  let sum = 0;
  let refusal: Error | null = null;

  function replied(): void {
    left--;
    if (left > 0) redis.commandQueue.unshift(place as unknown as Parameters<typeof redis.commandQueue.unshift>[0]);
    else if (refusal) fail(refusal);
    else settle(sum);
  }

  bulk.resolve = (reply: unknown) => {
    sum += Number(reply);
    replied();
  };
  bulk.reject = (error: Error) => {
    if (!isRefusal(error)) return fail(error);
    refusal ??= error;
    replied();
  };
  return bulk;
}
