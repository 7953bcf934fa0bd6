import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readHistory } from './read-history.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem value-'));
});
afterAll(() => rm(folder, { recursive: true }));

const HEAD = {
  format: 'tandem-value-1',
  predictor: 'p',
  features: ['a', 'b'],
  from: '2026-01-01T00:00:00Z',
  to: '2026-01-02T00:00:00Z',
};
const AT = '2026-01-01T10:00:00Z';
const READ = { user: '7', at: AT, kind: 'read', outcome: 1 };

async function read(...lines: readonly (object | string)[]) {
  const file = join(folder, 'h.ndjson');
  await writeFile(file, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
  return readHistory(file);
}

test('a history has the contexts, events and reads of each user in order', async () => {
  const { history, features } = await read(
    { ...HEAD, users: 9, simulated: true },
    { user: '7', at: '2025-12-31T23:00:00+01:00', kind: 'context', features: [1.5, true] },
    { user: '8', at: AT, kind: 'context', features: [2, null] },
    { user: '7', at: AT, kind: 'event' },
    { user: '7', at: AT, kind: 'context', features: null },
    '',
    READ,
  );
  const at = Date.parse(AT);
  expect(features).toEqual(['a', 'b']);
  expect(history).toEqual({
    predictor: 'p',
    from: Date.parse(HEAD.from),
    to: Date.parse(HEAD.to),
    users: 9,
    simulated: true,
    contexts: [
      [1.5, 1],
      [2, null],
    ],
    reads: [{ user: 0, outcome: 1 }],
    timelines: [
      [
        { kind: 'context', at: Date.parse('2025-12-31T22:00:00Z'), context: 0 },
        { kind: 'event', at },
        { kind: 'context', at, context: null },
        { kind: 'read', at, read: 0 },
      ],
      [{ kind: 'context', at, context: 1 }],
    ],
  });
});

test('an outcome of null is unknown', async () => {
  const { history } = await read(HEAD, READ, { ...READ, outcome: null });
  expect(history.reads.map(({ outcome }) => outcome)).toEqual([1, null]);
});

test.each<[string, readonly (object | string)[]]>([
  ['h.ndjson: the file is empty', []],
  ['line 1: it is not JSON', ['{']],
  ['line 1: it is not a JSON object', ['[]']],
  ['line 1: the first line has no "format": "tandem-value-1"', [READ]],
  ['line 1: its features are not a list of names', [{ ...HEAD, features: [] }]],
  ['line 1: from is not a time such as 2026-11-24T10:12:00Z', [{ ...HEAD, from: '2026-01-01' }]],
  ['line 1: from is not before to', [{ ...HEAD, to: HEAD.from }]],
  ['line 1: its users are not a whole number', [{ ...HEAD, users: 1.5 }]],
  ['line 1: simulated is neither true nor false', [{ ...HEAD, simulated: 'yes' }]],
  ['line 1: the key "user" is unknown: the head has', [{ ...HEAD, user: '7' }]],
  ['line 2: the key "outcom" is unknown: a read has user, at, kind, outcome', [HEAD, { ...READ, outcom: 1 }]],
  [
    'line 2: the key "outcome" is missing; write null if the outcome is unknown',
    [HEAD, { ...READ, outcome: undefined }],
  ],
  ['line 2: the key "outcome" is unknown: a context has', [HEAD, { ...READ, kind: 'context', features: [1, 1] }]],
  [
    'line 2: the key "features" is unknown: an event has',
    [HEAD, { user: '7', at: AT, kind: 'event', features: [1, 1] }],
  ],
  ['line 2: its user is not a string', [HEAD, { ...READ, user: 7 }]],
  ['line 2: at is not a time', [HEAD, { ...READ, at: 5 }]],
  ['line 2: its kind is not context, event or read', [HEAD, { ...READ, kind: 'reed' }]],
  ['line 2: its outcome is neither a number nor a string, nor null', [HEAD, { ...READ, outcome: true }]],
  ['line 2: it is not before the end of the history (to)', [HEAD, { ...READ, at: HEAD.to }]],
  ['line 2: it is a read before the beginning of the history (from)', [HEAD, { ...READ, at: '2025-12-01T00:00:00Z' }]],
  ['line 3: it is earlier than the line of user 7 before it', [HEAD, READ, { ...READ, at: HEAD.from }]],
  ['line 2: its features do not have 2 values', [HEAD, { user: '7', at: AT, kind: 'context', features: [1] }]],
  ['line 2: feature b is a object', [HEAD, { user: '7', at: AT, kind: 'context', features: [1, {}] }]],
  [
    'line 3: feature a is a string, but a number in earlier lines',
    [
      HEAD,
      ...[
        [1, 1],
        ['x', 1],
      ].map((features) => ({ user: '7', at: AT, kind: 'context', features })),
    ],
  ],
  ['line 2: the history has no read', [HEAD, { user: '7', at: AT, kind: 'event' }]],
])('%s', async (problem, lines) => {
  await expect(read(...lines)).rejects.toThrow(problem);
});

test('a missing file is named', async () => {
  await expect(readHistory(join(folder, 'none'))).rejects.toThrow(/there is no file .*none/);
});
