/** The last mark of the database's history that somebody saw: what a process that died cannot tell any more. */
import type { HistoryMark, MarkMemory } from '@tandem/prediction/events/notice-loss';
import { isRefusal, type OnlineConnection, unavailable } from './connection.ts';
import { createKeys } from './keys.ts';
import { command } from './write-together.ts';

export interface MarkMemoryDependencies {
  readonly connection: OnlineConnection;
  readonly prefix?: string;
}

/** Both reject `unavailable` where Redis does not answer or refuses; what it holds may be of any age. */
export function createMarkMemory({ connection, prefix }: MarkMemoryDependencies): MarkMemory {
  const key = createKeys(prefix).historyMark;

  async function send(name: string, args: string[]): Promise<unknown> {
    const [reply] = await connection.send([command(name, args)]);
    if (isRefusal(reply)) throw unavailable('it refused a command', reply);
    return reply;
  }

  return {
    async recall() {
      const reply = await send('get', [key]);
      return Buffer.isBuffer(reply) ? parseMark(reply.toString()) : null;
    },
    async keep({ past, seq, mark }) {
      await send('set', [key, `${past} ${seq} ${mark}`]);
    },
  };
}

/** Null for what is no mark: whoever wrote it, it tells nothing. */
function parseMark(text: string): HistoryMark | null {
  const parts = /^([0-9a-f]{16}) ([0-9]{1,15}) ([0-9a-f-]{36})$/.exec(text);
  return parts ? { past: parts[1] ?? '', seq: Number(parts[2]), mark: parts[3] ?? '' } : null;
}
