import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { OnlineConnection } from './connection.ts';
import { bulkCommand, command, isRefusal } from './pipelined-commands.ts';
import { connectTo, deleteKeys, randomPrefix } from './redis.fixture.ts';

describe('many commands as one', () => {
  const prefix = randomPrefix();
  let connection: OnlineConnection;
  beforeAll(async () => {
    ({ connection } = await connectTo(inject('redisUrl'), 5_000));
  });
  afterAll(async () => {
    await deleteKeys(connection, prefix);
    connection.close();
  });

  const hset = (key: string, field: string) => `hset ${prefix}:${key} ${field} 1\r\n`;
  const bulk = (...lines: readonly string[]) =>
    bulkCommand(connection.redis, Buffer.from(lines.join('')), lines.length);

  it('give the sum of their replies, and the commands around them get their own', async () => {
    const echo = (text: string) => command('echo', [text]);
    const replies = await connection.send([
      echo('before'),
      bulk(hset('a', 'x'), hset('a', 'x'), hset('a', 'y'), hset('b', 'x')),
      echo('between'),
      bulk(hset('c', 'x')),
      echo('after'),
    ]);
    expect(replies.map(String)).toEqual(['before', '3', 'between', '1', 'after']);
  });

  it('are refused as one where one is, and the commands around them get their own replies all the same', async () => {
    await connection.redis.set(`${prefix}:text`, 'no hash');
    const [first, refused, last] = await connection.send([
      command('echo', ['first']),
      bulk(hset('d', 'x'), hset('text', 'x'), hset('d', 'y'), hset('text', 'y')),
      command('hlen', [`${prefix}:d`]),
    ]);
    expect(String(first)).toBe('first');
    expect(isRefusal(refused) && refused.message).toContain('WRONGTYPE');
    expect(last).toBe(2);
  });
});
