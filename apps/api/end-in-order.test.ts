import { silentLog } from '@tandem/telemetry/log';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createEnding } from './end-in-order.ts';

const LAST_RESORT_MS = 12_000;
let exits: number[];
let errors: string[];
let drained: PromiseWithResolvers<boolean>;
let drains: number;

function create() {
  return createEnding({
    log: { ...silentLog, error: (event) => void errors.push(event) },
    drain: () => {
      drains += 1;
      return drained.promise;
    },
    exit: (code) => void exits.push(code),
    lastResortMs: LAST_RESORT_MS,
  });
}

beforeEach(() => {
  vi.useFakeTimers();
  [exits, errors, drains] = [[], [], 0];
  drained = Promise.withResolvers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('createEnding', () => {
  it('drains on a signal, then exits with 0', async () => {
    create().onSignal('SIGTERM');
    expect([drains, exits]).toEqual([1, []]);
    drained.resolve(true);
    await vi.waitFor(() => expect(exits).toEqual([0]));
  });

  it('exits at once on a second signal', () => {
    const { onSignal } = create();
    onSignal('SIGINT');
    onSignal('SIGINT');
    expect(exits).toEqual([1]);
  });

  it('logs a fault, drains, then exits with 1', async () => {
    create().onFault(new Error('a defect'));
    expect([drains, exits, errors]).toEqual([1, [], ['api.failed']]);
    drained.resolve(true);
    await vi.waitFor(() => expect(exits).toEqual([1]));
  });

  it('logs a fault during the drain, and lets the drain continue', async () => {
    const { onSignal, onFault } = create();
    onSignal('SIGTERM');
    onFault(new Error('a defect'));
    expect([drains, exits, errors]).toEqual([1, [], ['api.failed']]);
    drained.resolve(true);
    await vi.waitFor(() => expect(exits).toEqual([1]));
  });

  it('exits with 1 if the drain hangs', async () => {
    create().onSignal('SIGTERM');
    await vi.advanceTimersByTimeAsync(LAST_RESORT_MS - 1);
    expect(exits).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect([exits, errors]).toEqual([[1], ['api.hung']]);
  });

  it('exits with 1 if the drain fails', async () => {
    create().onSignal('SIGTERM');
    drained.reject(new Error('cannot close'));
    await vi.waitFor(() => expect(exits).toEqual([1]));
    expect(errors).toEqual(['api.failed']);
  });
});
