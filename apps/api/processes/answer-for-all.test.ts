import { expect, it } from 'vitest';
import { leastReady } from './answer-for-all.ts';

const part = (name: string, status: 'ok' | 'failed' | 'draining') => ({ name, status });

it('is as ready as the process that is least ready, part by part', () => {
  const ready = { status: 'ready' as const, parts: [part('postgres', 'ok'), part('redis', 'ok')] };
  const slow = { status: 'degraded' as const, parts: [part('postgres', 'ok'), part('redis', 'failed')] };
  const full = { status: 'not_ready' as const, parts: [part('connections', 'failed')] };
  expect(leastReady([ready, ready])).toEqual(ready);
  expect(leastReady([ready, slow])).toEqual(slow);
  expect(leastReady([slow, ready])).toEqual(slow);
  expect(leastReady([ready, full, slow])).toEqual({
    status: 'not_ready',
    parts: [part('postgres', 'ok'), part('redis', 'failed'), part('connections', 'failed')],
  });
});
