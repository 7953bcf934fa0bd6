/**
 * Many lookups as one command of ioredis: one promise and one timer for all of them, which for small lookups cost more
 * than the lookups do.
 *
 * ioredis takes a command from the head of its queue for each reply; while replies are still due this one puts itself
 * back, as that of bulk-command.ts does.
 */
import type { Redis } from 'ioredis';
import { isRefusal } from './connection.ts';
import { type CommandLike, command } from './write-together.ts';

/** A command and its arguments. */
export type Lookup = readonly string[];

/**
 * The promise gives the replies in order, as buffers; a refusal stands in its place as the error that it is. What else
 * goes wrong (timeout, a lost connection) rejects it.
 * @param lookups at least one
 */
export function gatheredCommand(redis: Redis, lookups: readonly Lookup[]): CommandLike {
  const gathered = command('gathered', []);
  gathered.toWritable = () => protocolOf(lookups);
  const place = { command: gathered, stream: undefined, select: redis.condition?.select ?? 0 };
  const settle = gathered.resolve;
  const fail = gathered.reject;
  const replies: unknown[] = [];

  function replied(reply: unknown): void {
    replies.push(reply);
    if (replies.length === lookups.length) settle(replies);
    else redis.commandQueue.unshift(place as unknown as Parameters<typeof redis.commandQueue.unshift>[0]);
  }

  gathered.resolve = replied;
  gathered.reject = (error: Error) => {
    if (isRefusal(error)) replied(error);
    else fail(error);
  };
  return gathered;
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
