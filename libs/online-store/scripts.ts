/**
 * Runs the .lua files: by digest, and with their text if the server does not know them yet, or lost them in a flush.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { accepted, type OnlineConnection } from './connection.ts';
import { command, isRefusal } from './pipelined-commands.ts';

interface Script {
  readonly lua: string;
  readonly digest: string;
}

/** A call of a script. In a cluster, its keys must share a hash tag. */
export interface ScriptCall {
  readonly keys: readonly string[];
  readonly args: readonly (string | Buffer)[];
}

/**
 * Loads a script.
 * @param name the name of a file in this folder
 */
export function loadScript(
  name:
    | 'put-overlay.lua'
    | 'raise-hint.lua'
    | 'raise-count.lua'
    | 'keep-mark.lua'
    | 'take-windows.lua'
    | 'mark-whole.lua',
): Script {
  const lua = readFileSync(new URL(name, import.meta.url), 'utf8');
  return { lua, digest: createHash('sha1').update(lua).digest('hex') };
}

/** Runs all calls in one write. Returns their results in order. Rejects with `unavailable` if any call failed. */
export async function runScript(
  connection: OnlineConnection,
  script: Script,
  calls: readonly ScriptCall[],
): Promise<readonly unknown[]> {
  const results = [...(await connection.send(calls.map((call) => asCommand('evalsha', script.digest, call))))];
  const unknown = results.flatMap((result, i) => (isUnknownScript(result) ? [i] : []));
  if (unknown.length > 0) {
    const again = unknown.map((i) => asCommand('eval', script.lua, calls[i] as ScriptCall));
    const replies = await connection.send(again);
    unknown.forEach((i, n) => {
      results[i] = replies[n];
    });
  }
  return accepted(results);
}

/**
 * Returns a call in Redis' protocol. ioredis would create a separate piece for each of the two keys of an entry, at
 * about 1.5 µs per entry.
 */
function asCommand(name: 'eval' | 'evalsha', script: string, { keys, args }: ScriptCall) {
  const one = command(name, []);
  const protocol = protocolOf([name, script, String(keys.length), ...keys, ...args]);
  const toWritable = () => protocol;
  return Object.assign(one, { toWritable, routeKey: keys[0] });
}

function protocolOf(words: readonly (string | Buffer)[]): Buffer {
  const pieces: Buffer[] = [];
  let text = `*${words.length}\r\n`;
  for (const word of words) {
    if (typeof word === 'string') {
      text += `$${Buffer.byteLength(word)}\r\n${word}\r\n`;
      continue;
    }
    pieces.push(Buffer.from(`${text}$${word.length}\r\n`), word);
    text = '\r\n';
  }
  return Buffer.concat([...pieces, Buffer.from(text)]);
}

function isUnknownScript(result: unknown): boolean {
  return isRefusal(result) && result.message.startsWith('NOSCRIPT');
}
