import { plain } from '@tandem/commands/command';
import { PROCESS_EXAMPLE } from '@tandem/wire/processes';
import { expect, test } from 'vitest';
import { renderProcesses } from './processes.ts';

const now = Date.parse('2026-11-24T10:30:02Z');

test('processes are listed with their loaded model versions and the reason of a failed load', () => {
  const worker = { ...PROCESS_EXAMPLE, kind: 'worker' as const, pid: 12, protocol: null, models: [] };
  expect(renderProcesses([PROCESS_EXAMPLE, worker], plain, now)).toEqual([
    'process  host   pid   release  protocol  started          predictor   version  state            since            why',
    'api      api-1  4711  0.1.0    1         16 h 27 min ago  repurchase  2        ready            16 h 27 min ago',
    'api      api-1  4711  0.1.0    1         16 h 27 min ago  repurchase  3        failed           4.0 s ago        the inference process ended: it took more than 512 MB of memory',
    'worker   api-1  12    0.1.0              16 h 27 min ago                       nothing to load',
  ]);
});

test('an empty list says how to start a process', () => {
  expect(renderProcesses([], plain, now)).toEqual(['no process is running; start one: tandem up']);
});
