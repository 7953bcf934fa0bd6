/** Tests of which signals request an orderly end, and which end the process at once. */
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { watchSignals } from './signals.ts';

/** Sends `[milliseconds, signal]` in turn. Returns the milliseconds of the orderly and of the forced end. */
function send(...signals: readonly (readonly [number, NodeJS.Signals])[]) {
  let now = 0;
  const events = new EventEmitter();
  const ends: { orderly?: number; forced?: number; code?: number } = {};
  const watched = {
    on: (name: NodeJS.Signals, listener: (name: NodeJS.Signals) => void) => events.on(name, listener),
    exit: (code: number) => {
      ends.code = code;
    },
  };
  const watch = watchSignals(watched, () => now);
  watch.signal.addEventListener('abort', () => {
    ends.orderly = now;
  });
  watch.whenForced(() => {
    ends.forced = now;
  });
  for (const [at, name] of signals) {
    now = at;
    events.emit(name, name);
  }
  return ends;
}

test('a SIGTERM that is repeated every half second is one request to stop', () => {
  expect(send([0, 'SIGTERM'], [500, 'SIGTERM'], [1_000, 'SIGTERM'], [1_500, 'SIGTERM'])).toEqual({ orderly: 0 });
});

test('a closing terminal is one request to stop: the SIGHUP of its group, the forwarded SIGHUP, and a late SIGTERM', () => {
  expect(send([0, 'SIGHUP'], [2, 'SIGHUP'], [600, 'SIGTERM'])).toEqual({ orderly: 0 });
});

test('a Ctrl-C that npm forwards is one request to stop, and a second Ctrl-C ends the process at once', () => {
  expect(send([0, 'SIGINT'], [5, 'SIGINT'])).toEqual({ orderly: 0 });
  expect(send([0, 'SIGINT'], [5, 'SIGINT'], [400, 'SIGINT'])).toEqual({ orderly: 0, forced: 400, code: 130 });
  expect(send([0, 'SIGTERM'], [400, 'SIGINT'])).toEqual({ orderly: 0, forced: 400, code: 130 });
});

test('a clearly later SIGTERM ends the process at once', () => {
  expect(send([0, 'SIGTERM'], [5_000, 'SIGTERM'])).toEqual({ orderly: 0, forced: 5_000, code: 130 });
});
