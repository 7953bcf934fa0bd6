import { describe, expect, it } from 'vitest';
import { parseRedisAddress } from './redis-address.ts';

describe('the address of a Redis', () => {
  it.each([
    ['redis://localhost', { host: 'localhost', port: 6379 }],
    ['redis://u:p%40ss@db.example:7000/3', { username: 'u', password: 'p@ss', host: 'db.example', port: 7000, db: 3 }],
    ['rediss://:secret@[::1]:6380', { password: 'secret', tls: {}, host: '::1', port: 6380 }],
    ['redis://:a@b%@host:1', { password: 'a@b%', host: 'host', port: 1 }],
  ])('is a single server: %s', (url, options) => {
    expect(parseRedisAddress(url)).toEqual({ kind: 'server', options });
  });

  it('is a cluster, given by some of its nodes and one login for all nodes', () => {
    expect(parseRedisAddress('rediss+cluster://app:s@a:7000,b:7001,[::1]')).toEqual({
      kind: 'cluster',
      seeds: [
        { host: 'a', port: 7000 },
        { host: 'b', port: 7001 },
        { host: '::1', port: 6379 },
      ],
      login: { username: 'app', password: 's', tls: {} },
    });
  });

  it('is the primary that sentinels name', () => {
    expect(parseRedisAddress('redis+sentinel://:s@a,b:1/main/2?sentinelPassword=t')).toEqual({
      kind: 'server',
      options: {
        ...{ password: 's', sentinelPassword: 't', name: 'main', db: 2, failoverDetector: true },
        sentinels: [
          { host: 'a', port: 26_379 },
          { host: 'b', port: 1 },
        ],
      },
    });
  });

  it.each([
    ['http://localhost', 'is not like'],
    ['redis://', 'is not like'],
    ['redis://a:1?tls=no', 'parameter tls'],
    ['redis+cluster://a:1,u:hunter2@b:2', 'several logins'],
    ['redis://a:1,b:2', 'several hosts'],
    ['redis://a:port', 'not host:port'],
    ['redis://a:99999', 'not host:port'],
    ['redis://a/x', 'not a database number'],
    ['redis+cluster://a:1/1', 'only database 0'],
    ['redis+cluster://a:1?db=1', 'parameter db'],
    ['redis+sentinel://a:1', 'names no primary'],
  ])('is rejected, and the error does not contain the password: %s', (url, problem) => {
    expect(() => parseRedisAddress(url.replace('://', '://:hunter2@'))).toThrow(problem);
    expect(() => parseRedisAddress(url.replace('://', '://:hunter2@'))).not.toThrow('hunter2');
  });
});
