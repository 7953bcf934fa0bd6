/** Tests of `tandem rank` with the real API over a socket. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Input } from '@tandem/commands/command';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestApi } from '../../../../apps/api/api.fixture.ts';
import { CHECKOUT_REQUEST, createCheckoutApi } from '../../../../apps/api/checkout.fixture.ts';
import { type RunningServer, startServer } from '../../../../apps/api/server.ts';
import { run } from '../../../../apps/cli/program.fixture.ts';

/** The request features, with an amount that may be NaN. The model returns the amount, and NaN is not a prediction. */
const REQUEST = CHECKOUT_REQUEST.map((column) =>
  column.name === 'amount' ? { ...column, default: null, nullAs: 'nan' } : column,
);

let api: TestApi;
let server: RunningServer;
let cwd: string;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'tandem-rank-'));
  // The timeout is long enough that load shedding does not interfere.
  api = await createCheckoutApi({ request: REQUEST, freshness: { liveTimeoutMs: 20_000 } });
  server = await startServer({ fetch: api.app.fetch, host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await server?.close(0);
  await api?.close();
  await rm(cwd, { recursive: true });
});

const candidate = (id: string, amount: number) => ({ id, features: { amount } });
const BASKETS = [candidate('a', 5), candidate('b\u001b', 20), candidate('c', 7)];
const linesOf = (values: readonly unknown[]) => values.map((value) => `${JSON.stringify(value)}\r\n\n`).join('');
const stdinOf = (text: string): Input => Readable.from([Buffer.from(text)]);

const rank = (line: string, stdin: Input = stdinOf(linesOf(BASKETS))) =>
  run(`rank checkout ${line}`, { cwd, stdin, env: { TANDEM_URL: server.url } });

test('prints a table of the candidates, best first, with their common context version', async () => {
  const { code, out, err } = await rank('3 --by amount --limit 2 --items-as-of 2026-11-24T10:50:00+01:00');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out.split('\n')).toEqual([
    'rank  id  amount  orders  channel',
    '   1  b?      20       3        0',
    '   2  c        7       3        0',
    '',
    'source    live, requested: the caller requested live inference',
    expect.stringMatching(/^model {5}version \d+ \(stable\)$/),
    expect.stringMatching(/^computed {2}2.* UTC, (under 1|\d+) s ago$/),
    'context   version 0, predicted from 0',
    'items     as of 2026-11-24T10:50:00+01:00',
    '',
  ]);
});

test('prints the answer of the service as JSON, for a file with an array', async () => {
  await writeFile(join(cwd, 'baskets.json'), `\uFEFF ${JSON.stringify(BASKETS, null, 2)}`);
  const { code, out } = await rank('3 --candidates baskets.json --by amount --json');
  expect([code, JSON.parse(out)]).toMatchObject([
    0,
    {
      by: 'amount',
      ranked: [{ score: 20 }, { id: 'c', score: 7 }, { id: 'a', score: 5 }],
      refused: [],
      itemsAsOf: null,
    },
  ]);
});

test('a candidate without a usable output follows the table, and the command ends with 1', async () => {
  const { code, out, err } = await rank('3 --by amount', stdinOf(linesOf([{ id: 'x', features: {} }, ...BASKETS])));
  expect({ code, err }).toEqual({ code: 1, err: '' });
  expect(out).toMatch(/^ {3}3 {2}a .*\nx {2}.*amount.*NaN/m);
});

test.each<[string, string, number, RegExp]>([
  ['3 --by amount', linesOf([...BASKETS, candidate('d', -1)]), 1, /candidates\[3\]\.features\.amount is less than 0/],
  ['3 --by amount', linesOf([5]), 1, /candidates\[0\]/],
  ['3 --by amount', '', 1, /at least one candidate/],
  ['3 --by amount', '{"id":"a","features":{}}\n{"id":', 1, /standard input, line 2 is not JSON \(.*\)\n {2}write/],
  ['3 --by amount', '[{"id":"a","features":{}}', 1, /standard input is not JSON/],
  ['3 --by amount --candidates nope.json', '', 1, /there is no file nope\.json\n {2}check the path/],
  ['3', linesOf(BASKETS), 1, /by is missing.*\n.*use one of orders, amount, channel/],
  ['03 --by amount', linesOf(BASKETS), 1, /send "3"/],
  ['3 --limit 501', linesOf(BASKETS), 2, /a whole number from 1 to 500 is expected/],
])('case %#: `rank $0` ends with $2', async (line, text, code, words) => {
  const ran = await rank(line, stdinOf(text));
  expect(ran).toEqual({ code, out: '', err: expect.stringMatching(words) });
});

test('without candidates, a terminal gets a message that says how to pass them', async () => {
  const terminal = Object.assign(Readable.from([]), { isTTY: true });
  expect(await rank('3', terminal)).toMatchObject({ code: 2, err: expect.stringContaining('--candidates') });
});
