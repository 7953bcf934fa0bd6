import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readTransactions } from './read-transactions.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shop-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(text: string): Promise<URL> {
  const path = join(folder, 'transactions.csv');
  await writeFile(path, text);
  return pathToFileURL(path);
}

test('the whole history is read, including equal purchases', async () => {
  const transactions = await readTransactions();
  const contents = transactions.map((transaction) => JSON.stringify(transaction));
  expect(transactions).toHaveLength(6919);
  expect(new Set(transactions.map(({ customerId }) => customerId)).size).toBe(2357);
  expect(contents.length - new Set(contents).size).toBe(21);
  expect(transactions[0]).toEqual({ customerId: '1', day: '1997-01-01', quantity: 2, amount: '29.33' });
});

test('a malformed line is named with its file and number', async () => {
  const file = await fileOf('customer_id,date,quantity,amount\n1,1997-01-01,2,29.33\n1,1997-01-18,two,29.73\n');
  await expect(readTransactions(file)).rejects.toThrow(
    /transactions\.csv:3: expected .* found "1,1997-01-18,two,29.73"/,
  );
});

test('a file with other columns is rejected', async () => {
  const file = await fileOf('id,date,quantity,amount\n');
  await expect(readTransactions(file)).rejects.toThrow(/:1: expected the columns customer_id,date,quantity,amount/);
});
