/** Many writes as one command, for bulk loads. */
import type { Redis } from 'ioredis';
import { commandOfMany } from './command-of-many.ts';
import { isRefusal } from './connection.ts';
import type { CommandLike } from './write-together.ts';

/**
 * The promise gives the sum of the replies, which are to be integers. A refusal (OOM, READONLY) rejects it, once the
 * replies are all there; what else goes wrong (timeout, a lost connection), at once.
 * @param bytes the commands in Redis' protocol
 * @param replies how many they are, at least one
 */
export function bulkCommand(redis: Redis, bytes: Buffer, replies: number): CommandLike {
  let sum = 0;
  let refusal: Error | null = null;
  return commandOfMany(redis, {
    name: 'bulk',
    protocol: bytes,
    replies,
    take(reply) {
      if (isRefusal(reply)) refusal ??= reply;
      else sum += Number(reply);
    },
    result() {
      if (refusal) throw refusal;
      return sum;
    },
  });
}
