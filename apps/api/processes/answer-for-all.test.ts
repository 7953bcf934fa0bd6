import { expect, it } from 'vitest';
import { readyTogether } from './answer-for-all.ts';

const part = (name: string, status: 'ok' | 'failed' | 'draining') => ({ name, status });

it('the port is not ready if no process is or if one drains, and degraded if some are not ready', () => {
  const ready = { status: 'ready' as const, parts: [part('postgres', 'ok'), part('redis', 'ok')] };
  const slow = { status: 'degraded' as const, parts: [part('postgres', 'ok'), part('redis', 'failed')] };
  const full = { status: 'not_ready' as const, parts: [part('connections', 'failed')] };
  const ending = { status: 'not_ready' as const, parts: [part('process', 'draining')] };
  expect(readyTogether([ready, ready])).toEqual(ready);
  expect(readyTogether([ready, slow])).toEqual(slow);
  expect(readyTogether([slow, ready])).toEqual(slow);
  expect(readyTogether([ready, full, slow])).toEqual({
    status: 'degraded',
    parts: [part('postgres', 'ok'), part('redis', 'failed'), part('connections', 'failed')],
  });
  expect(readyTogether([full, full])).toEqual(full);
  expect(readyTogether([ready, ending]).status).toBe('not_ready');
});
