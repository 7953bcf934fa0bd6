/** Reads the shop's history in the repository: the past to load, and the events for a replay. */
import { readFile } from 'node:fs/promises';

/** One purchase. `customerId` is a bigint's text, `day` an ISO date, `amount` dollars with two decimals, as text. */
export interface Transaction {
  readonly customerId: string;
  readonly day: string;
  readonly quantity: number;
  readonly amount: string;
}

const historyFile = new URL('./data/transactions.csv', import.meta.url);
const header = 'customer_id,date,quantity,amount';
const row = /^(?<customerId>\d+),(?<day>\d{4}-\d{2}-\d{2}),(?<quantity>\d+),(?<amount>\d+\.\d{2})$/;

/** All purchases in the file's order (by customer, then by day); equal rows are separate purchases. */
export async function readTransactions(file: URL = historyFile): Promise<readonly Transaction[]> {
  const [first, ...lines] = (await readFile(file, 'utf8')).trimEnd().split('\n');
  if (first !== header)
    throw new Error(`${file.pathname}:1: expected the columns ${header}, found ${first ?? 'nothing'}`);
  // Line 1 is the header, and people count from 1.
  return lines.map((line, index) => parseTransaction(line, `${file.pathname}:${index + 2}`));
}

function parseTransaction(line: string, place: string): Transaction {
  const { customerId, day, quantity, amount } = row.exec(line)?.groups ?? {};
  if (customerId === undefined || day === undefined || quantity === undefined || amount === undefined) {
    throw new Error(`${place}: expected a line such as 42,1997-01-31,2,29.33, found ${JSON.stringify(line)}`);
  }
  return { customerId, day, quantity: Number(quantity), amount };
}
