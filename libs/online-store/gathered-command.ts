/** Many lookups as one command: one promise and one timer for all of them, which cost more than small lookups do. */
import type { Redis } from 'ioredis';
import { commandOfMany } from './command-of-many.ts';
import type { CommandLike } from './write-together.ts';

/** A command and its arguments. */
export type Lookup = readonly string[];

/**
 * The promise gives the replies in order, as buffers; a refusal stands in its place as the error that it is. What else
 * goes wrong (timeout, a lost connection) rejects it.
 * @param lookups at least one
 */
export function gatheredCommand(redis: Redis, lookups: readonly Lookup[]): CommandLike {
  const found: unknown[] = [];
  return commandOfMany(redis, {
    name: 'gathered',
    protocol: protocolOf(lookups),
    replies: lookups.length,
    take: (reply) => found.push(reply),
    result: () => found,
  });
}

/** Redis' protocol: arrays of strings, each with its length in bytes. */
function protocolOf(lookups: readonly Lookup[]): string {
  let text = '';
  for (const words of lookups) {
    text += `*${words.length}\r\n`;
    for (const word of words) text += `$${Buffer.byteLength(word)}\r\n${word}\r\n`;
  }
  return text;
}
