/** Tests of `tandem outcome send` against a socket: its requests, and its handling of files with errors. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../../../../apps/cli/program.fixture.ts';
import type { OutcomeInput } from '../client.ts';

let folder: string;
let server: Server;
let url: string;
let batches: OutcomeInput[][];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-outcomes-'));
  batches = [];
  server = createServer(async (request, response) => {
    const { outcomes } = (await json(request)) as { outcomes: (OutcomeInput & { id: string })[] };
    const refused = outcomes.findIndex(({ name }) => name === 'refused');
    if (refused >= 0) {
      const problem = {
        type: 'urn:tandem:problem:invalid_input',
        title: 'no',
        detail: 'It is refused.',
        remedy: 'fix it',
      };
      response.writeHead(422, { 'content-type': 'application/problem+json' });
      response.end(JSON.stringify({ ...problem, status: 422, field: `outcomes[${refused}].name` }));
      return;
    }
    batches.push(outcomes);
    const seen = new Set(batches.slice(0, -1).flatMap((batch) => batch.map(({ id }) => id)));
    const results = outcomes.map(({ id, source, userId }) => ({
      ...{ id, source, userId },
      status: seen.has(id) ? 'duplicate' : 'accepted',
    }));
    response.writeHead(202, { 'content-type': 'application/json' }).end(JSON.stringify({ results }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const send = (...args: string[]) => run(['outcome', 'send', ...args, '--url', url], { cwd: folder });
async function sendFile(name: string, text: string, ...args: string[]) {
  await writeFile(join(folder, name), text);
  return send('--file', name, ...args);
}

test('an outcome is sent with its options, and its result is shown', async () => {
  const { code, out } = await send('42', 'order', '--value', '-31.5', '--time', '2026-11-24T10:00:00Z', '--id', 'o1');
  expect(code).toBe(0);
  expect(out).toBe('accepted  order of user 42\noutcome   o1 of tandem-cli\n');
  expect(batches).toEqual([
    [{ id: 'o1', source: 'tandem-cli', userId: '42', name: 'order', value: -31.5, time: '2026-11-24T10:00:00Z' }],
  ]);
});

test('a CSV file is sent in batches without its empty cells, and sending it again changes nothing', async () => {
  const time = '2026-11-24T10:00:00Z';
  const lines = Array.from({ length: 1_500 }, (_, n) => `o${n},"user, ""${n}""",order,${n},${n % 2 === 0 ? time : ''}`);
  const text = `\uFEFFid,userId,name,value,time\r\n${lines.join('\r\n')}\r\n\r\n`;
  const first = await sendFile('o.csv', text, '--source', 'shop');
  expect([first.code, first.out]).toEqual([0, 'accepted   1,500\nduplicate  0\nerased     0\n']);
  expect(batches.map((batch) => batch.length)).toEqual([1_000, 500]);
  expect(batches[0]?.slice(1, 3)).toEqual([
    { id: 'o1', source: 'shop', userId: 'user, "1"', name: 'order', value: 1 },
    { id: 'o2', source: 'shop', userId: 'user, "2"', name: 'order', value: 2, time },
  ]);
  const again = await sendFile('o.csv', text, '--json');
  expect(JSON.parse(again.out)).toEqual({ accepted: 0, duplicate: 1_500, erased: 0 });
});

test('a file of JSON lines is sent unchanged and keeps its sources', async () => {
  const one = { id: 'a', source: 'app', userId: '1', name: 'order' };
  const { code } = await sendFile(
    'o.jsonl',
    `${JSON.stringify(one)}\n\n{"id":"b","userId":"2","name":"order","value":2}`,
  );
  expect(code).toBe(0);
  expect(batches).toEqual([[one, { id: 'b', source: 'tandem-cli', userId: '2', name: 'order', value: 2 }]]);
});

test.each<[string, string, RegExp]>([
  ['o.csv', 'id,userId,name\na,1,order\nb,2', /o\.csv, line 3: 2 values, but the header has 3/],
  ['o.csv', 'id,userId,name\na,"1,order', /line 2: a quotation mark is not closed/],
  ['o.csv', 'id,user,name\na,1,order', /line 1: the header has the unknown name "user"/],
  ['o.csv', 'id,userId,name,value\na,1,order,x', /line 2: its value is empty, null or not a number/],
  ['o.csv', 'id,userId,name,value\na,1,order,3\nb,2,order,', /line 3: its value is empty, null or not a number/],
  ['o.csv', 'id,userId,name,value\na,1,order,Infinity', /line 2: its value is Infinity, not a finite number/],
  ['o.jsonl', '{"id":"a","userId":"1","name":"order","value":null}', /line 1: its value is empty, null or/],
  ['o.jsonl', '{"id":"a","userId":"1","name":"order","value":"3"}', /line 1: its value is "3", not a finite number/],
  ['o.jsonl', '{"id":"a","userId":1,"name":"order"}', /line 1: its userId is not a string/],
  ['o.jsonl', '{"id":"a","userId":"1","name":"order","amount":3}', /line 1: it has the unknown name "amount"/],
  ['o.csv', 'userId,name\n1,order', /line 2: it has no id/],
  ['o.jsonl', '{"id":"a","userId":"1"}', /line 1: it has no name/],
  ['o.csv', '', /o\.csv is empty\n {2}.*the first line must name the columns/],
  ['o.csv', '\uFEFF\n\n', /o\.csv is empty/],
  ['o.jsonl', '{"id":', /line 1: the line is not JSON/],
  ['o.jsonl', 'null', /line 1: it has no id/],
])('a wrong line of %s is named, and its batch is not sent: %j', async (name, text, problem) => {
  const { code, err } = await sendFile(name, text);
  expect([code, err]).toEqual([1, expect.stringMatching(problem)]);
  expect(batches).toEqual([]);
});

test.each(['o.csv', 'o.jsonl'])(
  '%s in another encoding is rejected, since ids would change; a byte order mark is ignored',
  async (name) => {
    const [csv, line] = ['id,userId,name\na,josé,order\n', '{"id":"a","userId":"josé","name":"order"}\n'];
    const text = name === 'o.csv' ? csv : line;
    const file = join(folder, name);
    await writeFile(file, text, 'latin1');
    const { code, err } = await run(`outcome send --file ${file} --url ${url}`);
    expect([code, err]).toEqual([1, expect.stringMatching(/line \d: it is not UTF-8\n.*iconv -f latin1 -t utf-8/)]);
    expect(batches).toEqual([]);
    await writeFile(file, `\uFEFF${text}`);
    expect((await run(`outcome send --file ${file} --url ${url}`)).code).toBe(0);
    expect(batches).toEqual([[expect.objectContaining({ userId: 'josé' })]]);
  },
);

test('an outcome that the service rejects is named by its place in the file', async () => {
  const lines = Array.from({ length: 1_200 }, (_, n) => `o${n},1,${n === 1_100 ? 'refused' : 'order'}`);
  const { code, err } = await sendFile('o.csv', `id,userId,name\n${lines.join('\n')}`);
  expect([code, err]).toEqual([1, expect.stringContaining('o.csv, outcome 1,101, name: It is refused.')]);
  expect(err).toContain('1,000 outcomes were accepted before');
});

test('incomplete options are rejected, and a missing file is named', async () => {
  expect((await send('42')).code).toBe(2);
  expect((await send('42', 'order', '--file', 'o.csv')).code).toBe(2);
  expect((await send('--file', 'o.csv', '--value', '3')).code).toBe(2);
  expect((await send('42', 'order', '--value', 'x')).code).toBe(2);
  expect(await send('--file', 'none.csv')).toMatchObject({ code: 1, err: expect.stringContaining('none.csv') });
  expect(batches).toEqual([]);
});
