import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readCsv } from './read-csv.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-csv-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function read(content: string | Buffer) {
  const file = join(folder, 'a.csv');
  await writeFile(file, content);
  const rows: [number, ...string[]][] = [];
  let head: readonly string[] = [];
  for await (const { names, rows: some } of readCsv(file)) {
    head = names;
    rows.push(...some.map(({ line, cells }): [number, ...string[]] => [line, ...cells]));
  }
  return { head, rows };
}

test('reads rows with their line numbers: quoted commas, quotation marks and line breaks, CRLF, a byte order mark, empty lines', async () => {
  expect(await read('\uFEFFid, name\r\n1,"a, ""b"""\r\n\r\n2,"two\r\nlines"\r\n3,\r\n4,é')).toEqual({
    head: ['id', 'name'],
    rows: [
      [2, '1', 'a, "b"'],
      [4, '2', 'two\r\nlines'],
      [6, '3', ''],
      [7, '4', 'é'],
    ],
  });
  expect((await read('id,name\r1,a\r2,b\r')).rows).toEqual([
    [2, '1', 'a'],
    [3, '2', 'b'],
  ]);
  expect(await read('id,name\n')).toEqual({ head: ['id', 'name'], rows: [] });
});

test('reads rows across the pieces of the file as a whole, with their line numbers', async () => {
  const texts = Array.from({ length: 30_000 }, (_, i) => (i % 3 === 0 ? `"é,${i}\n""x"""` : `é${i}`));
  const { rows } = await read(`id,text\n${texts.map((text, i) => `${i},${text}\n`).join('')}`);
  expect(rows.length).toBe(30_000);
  expect(rows.at(-1)).toEqual([2 + 29_999 + 10_000, '29999', 'é29999']);
  expect(rows[29_997]).toEqual([2 + 29_997 + 9_999, '29997', 'é,29997\n"x"']);
});

test.each<[string, string | Buffer, RegExp]>([
  ['an empty file', '', /a\.csv is empty/],
  ['a head with an empty name', ',id\n0,1\n', /line 1: column 1 has no name/],
  ['a repeated name', 'id,a,id\n', /line 1: two columns are named id/],
  ['too few values', 'id,a\n1,2\n3\n', /line 3: 1 value, but the header has 2/],
  ['too many values', 'id,a\n1,2,3\n', /line 2: 3 values, but the header has 2/],
  ['a quotation mark inside a cell', 'id,a\n1,5" or 6"\n', /line 2: a quotation mark is inside an unquoted cell/],
  ['an open mark', 'id,a\n1,2\n3,"4\n5,6\n', /line 3: a quotation mark is not closed/],
  [
    'bytes that are not UTF-8',
    Buffer.concat([Buffer.from('id,a\n1,é\n2,'), Buffer.from([0xe9, 0x0a])]),
    /line 3: it is not UTF-8/,
  ],
])('rejects %s and names the line', async (_, content, problem) => {
  await expect(read(content)).rejects.toThrow(problem);
});

test.each([
  ['Latin 1', Buffer.from('id,a\n1,é\n', 'latin1'), /line 2: it is not UTF-8/, 'convert it: iconv -f latin1 -t utf-8'],
  ['UTF-16', Buffer.from('\uFEFFid,a\n1,é\n', 'utf16le'), /not UTF-8/, 'convert it: iconv -f utf-16 -t utf-8'],
  ['one byte', Buffer.from([0xff]), /line 1: it is not UTF-8/, 'convert it: iconv -f latin1 -t utf-8'],
  ['no text', Buffer.from([8, 0, 0xff, 0]), /a\.csv is not a text file: it has NUL/, 'name a text file in UTF-8'],
])('names the conversion of a file in %s', async (_, content, message, remedy) => {
  await expect(read(content)).rejects.toMatchObject({ message: expect.stringMatching(message), remedy });
});

test('names a missing file and a folder, with the fix', async () => {
  const missing = { message: expect.stringMatching(/^there is no file .*none\.csv$/), remedy: 'check the path' };
  await expect(readCsv(join(folder, 'none.csv')).next()).rejects.toMatchObject(missing);
  const unreadable = {
    message: expect.stringMatching(/cannot be read: EISDIR/),
    remedy: 'name a file that you may read',
  };
  await expect(readCsv(folder).next()).rejects.toMatchObject(unreadable);
});
