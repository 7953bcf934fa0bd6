/** Remembers the newest mark of the database's history in Redis, so that a restarted process can notice a restore. */
import type { HistoryMark, MarkMemory } from '@tandem/prediction/events/notice-loss';
import { type OnlineConnection, unavailable } from './connection.ts';
import { createKeys } from './keys.ts';
import { command, isRefusal } from './pipelined-commands.ts';
import { loadScript, runScript } from './scripts.ts';

interface MarkMemoryDependencies {
  readonly connection: OnlineConnection;
  readonly prefix?: string;
}

/** `recall` and `replace` reject `unavailable` where Redis does not answer or refuses; the mark may be of any age. */
export function createMarkMemory({ connection, prefix }: MarkMemoryDependencies): MarkMemory {
  const key = createKeys(prefix).historyMark;
  const script = loadScript('keep-mark.lua');

  async function recallText(): Promise<string> {
    const [reply] = await connection.send([command('get', [key])]);
    if (isRefusal(reply)) throw unavailable('it refused a command', reply);
    return Buffer.isBuffer(reply) ? reply.toString('latin1') : '';
  }

  return {
    serverId: connection.serverId,
    async recall() {
      const text = await recallText();
      return {
        mark: parseMark(text),
        async replace({ past, seq, mark }) {
          const args = [Buffer.from(text, 'latin1'), `${past} ${seq} ${mark}`];
          const [reply] = await runScript(connection, script, [{ keys: [key], args }]);
          return reply === 1;
        },
      };
    },
  };
}

/** Returns null for a text that is no mark: it proves nothing. */
function parseMark(text: string): HistoryMark | null {
  const parts = /^([0-9a-f]{16}) ([0-9]{1,15}) ([0-9a-f-]{36})$/.exec(text);
  return parts ? { past: parts[1] ?? '', seq: Number(parts[2]), mark: parts[3] ?? '' } : null;
}
