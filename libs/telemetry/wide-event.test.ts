import { expect, test } from 'vitest';
import { createLog } from './log.ts';
import { startWideEvent } from './wide-event.ts';

function start() {
  const lines: Record<string, unknown>[] = [];
  const log = createLog({
    level: 'debug',
    name: 'api',
    destination: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  });
  let now = 1000;
  const event = startWideEvent('request.done', { route: '/x' }, { log, clock: () => now });
  const pass = (ms: number) => {
    now += ms;
  };
  return { lines, event, pass };
}

test('one line has all added fields and the duration', async () => {
  const { lines, event, pass } = start();
  event.add({ users: 1 });
  event.add({ users: 2 });
  expect([event.fact('users'), event.fact('route'), event.fact('none')]).toEqual([2, '/x', undefined]);
  event.count('misses');
  event.count('misses', 2);
  await event.timed('authority', async () => pass(5));
  pass(7.5);
  expect(event.end()).toBe(12.5);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    level: 'info',
    event: 'request.done',
    route: '/x',
    users: 2,
    misses: 3,
    authorityMs: 5,
    durationMs: 12.5,
  });
});

test('an event ends once, and later calls are ignored', () => {
  const { lines, event, pass } = start();
  event.end();
  pass(10);
  event.add({ late: true });
  expect(event.end({ error: new Error('late') })).toBe(0);
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toHaveProperty('late');
});

test('an error sets the level to `error`, unless a level is given', () => {
  const first = start();
  first.event.end({ error: new Error('broken') });
  expect(first.lines[0]).toMatchObject({ level: 'error', error: { message: 'broken' } });
  const second = start();
  second.event.end({ error: new Error('refused'), level: 'warn' });
  expect(second.lines[0]).toMatchObject({ level: 'warn' });
});

test('also measures the time of a part that fails, and rethrows its error', async () => {
  const { lines, event, pass } = start();
  const failing = event.timed('live', async () => {
    pass(3);
    throw new Error('down');
  });
  await expect(failing).rejects.toThrow('down');
  event.end();
  expect(lines[0]).toMatchObject({ liveMs: 3 });
});
