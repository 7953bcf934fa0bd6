/** Remembers the newest mark of the database's history in Redis, so that a restarted process can detect a restore. */
import type { HistoryMark, MarkMemory } from '@tandem/prediction/events/notice-loss';
import { accepted, type StoreDependencies, tagsOf } from './connection.ts';
import { createKeys } from './keys.ts';
import { command } from './pipelined-commands.ts';
import { loadScript, runScript } from './scripts.ts';

/**
 * Creates the memory of marks. `recall` and `replace` reject with `unavailable` if Redis does not answer or refuses. A
 * mark may have any age. Each primary of a cluster has a mark, since each may lose its data separately.
 */
export function createMarkMemory({ connection, prefix }: StoreDependencies): MarkMemory {
  const keys = createKeys(prefix);
  const script = loadScript('keep-mark.lua');

  async function recallTexts(names: readonly string[]): Promise<readonly string[]> {
    const replies = accepted(await connection.send(names.map((name) => command('get', [name]))));
    return replies.map((reply) => (Buffer.isBuffer(reply) ? reply.toString('latin1') : ''));
  }

  return {
    serverId: () => connection.serverId(),
    async recall() {
      const names = tagsOf(connection).map((tag) => keys.historyMark(tag));
      const texts = await recallTexts(names);
      return {
        marks: texts.map(parseMark).filter((mark) => mark !== null),
        async replace({ past, seq, mark }) {
          const calls = names.map((name, i) => ({
            keys: [name],
            args: [Buffer.from(texts[i] ?? '', 'latin1'), `${past} ${seq} ${mark}`],
          }));
          const replies = await runScript(connection, script, calls);
          return replies.every((reply) => reply === 1);
        },
      };
    },
  };
}

/** Returns the mark in a text; null if the text is not a mark, which proves nothing. */
function parseMark(text: string): HistoryMark | null {
  const parts = /^([0-9a-f]{16}) ([0-9]{1,15}) ([0-9a-f-]{36})$/.exec(text);
  return parts ? { past: parts[1] ?? '', seq: Number(parts[2]), mark: parts[3] ?? '' } : null;
}
