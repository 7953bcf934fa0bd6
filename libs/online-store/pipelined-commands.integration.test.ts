import { bytesLeftBy, MAX_BYTES_LEFT } from '@tandem/testing/bytes-left';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { ServerConnection } from './connection.ts';
import { bulkCommand, command, gatheredCommand, isRefusal } from './pipelined-commands.ts';
import { connectTo, deleteKeys, randomPrefix } from './redis.fixture.ts';

describe('many commands as one', () => {
  const prefix = randomPrefix();
  let connection: ServerConnection;
  beforeAll(async () => {
    ({ connection } = await connectTo(inject('redisUrl')));
  });
  afterAll(async () => {
    await deleteKeys(connection, prefix);
    connection.close();
  });

  const hset = (key: string, field: string) => `hset ${prefix}:${key} ${field} 1\r\n`;
  const bulk = (...lines: readonly string[]) =>
    bulkCommand(connection.redis, Buffer.from(lines.join('')), lines.length);

  it('return the sum of their replies, and the commands around them get their own replies', async () => {
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

  it('are rejected together if one is refused, and the commands around them still get their own replies', async () => {
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

describe('many lookups as one command', () => {
  const prefix = randomPrefix();
  let connection: ServerConnection;
  beforeAll(async () => {
    ({ connection } = await connectTo(inject('redisUrl')));
    await connection.redis.hset(`${prefix}:hash`, { a: '1', ü: 'ö' });
    await connection.redis.set(`${prefix}:text`, 'no hash');
  });
  afterAll(async () => {
    await deleteKeys(connection, prefix);
    connection.close();
  });

  it('leave nothing behind for a full garbage collection', async () => {
    const ask = () => connection.ask([['hmget', `${prefix}:hash`, 'a', 'ü']]);
    expect(await bytesLeftBy(1_000, ask)).toBeLessThan(MAX_BYTES_LEFT);
  });

  const gathered = (...lookups: readonly (readonly string[])[]) => gatheredCommand(connection.redis, lookups);
  const echo = (text: string) => command('echo', [text]);

  it('return their replies in order, as buffers, and the commands around them get their own replies', async () => {
    const [before, found, after] = await connection.send([
      echo('before'),
      gathered(['hmget', `${prefix}:hash`, 'a', 'ü', 'none'], ['mget', `${prefix}:text`]),
      echo('after'),
    ]);
    expect([String(before), String(after)]).toEqual(['before', 'after']);
    expect(found).toEqual([[Buffer.from('1'), Buffer.from('ö'), null], [Buffer.from('no hash')]]);
  });

  it('return an error in place of a refused reply', async () => {
    const [found, after] = await connection.send([
      gathered(['hmget', `${prefix}:text`, 'a'], ['hmget', `${prefix}:hash`, 'a'], ['hget', `${prefix}:text`, 'a']),
      echo('after'),
    ]);
    const [first, second, third] = found as readonly unknown[];
    expect([isRefusal(first), isRefusal(third)]).toEqual([true, true]);
    expect(second).toEqual([Buffer.from('1')]);
    expect(String(after)).toBe('after');
  });

  it('do not affect the replies of later commands if their own replies arrive late', async () => {
    // After a timeout no caller waits, but Redis still answers.
    const late = gathered(['hmget', `${prefix}:hash`, 'a'], ['mget', `${prefix}:text`]);
    const sending = connection.send([late, echo('beside')]).catch((error: unknown) => error);
    late.reject(new Error('Command timed out'));
    expect(await sending).toMatchObject({ code: 'unavailable' });
    const [again] = await connection.send([gathered(['hmget', `${prefix}:hash`, 'a'])]);
    expect(again).toEqual([[Buffer.from('1')]]);
  });
});

describe("ioredis' queue of commands, an internal that these rely on", () => {
  it('has one entry for each command in the order of replies, and removes the first for each reply', async () => {
    const { connection } = await connectTo(inject('redisUrl'));
    const { redis } = connection;
    await redis.ping();
    const replies = [redis.echo('first'), redis.echo('second')];
    const entries = redis.commandQueue.toArray();
    expect(entries.map((entry) => Object.keys(entry).sort())).toEqual([
      ['command', 'select', 'stream'],
      ['command', 'select', 'stream'],
    ]);
    expect(entries.map(({ command: { args } }) => args)).toEqual([['first'], ['second']]);
    expect(await Promise.all(replies)).toEqual(['first', 'second']);
    expect(redis.commandQueue.length).toBe(0);
    connection.close();
  });
});
