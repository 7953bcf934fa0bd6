/** Reads the history of the shop from the repository, for the load and for replays. */
import { readFile } from 'node:fs/promises';

/**
 * One purchase. `customerId` is the text of a bigint, `day` is an ISO date, and `amount` is the text of dollars with
 * two decimals.
 */
export interface Transaction {
  readonly customerId: string;
  readonly day: string;
  readonly quantity: number;
  readonly amount: string;
}

const historyFile = new URL('./data/transactions.csv', import.meta.url);
const header = 'customer_id,date,quantity,amount';
const row = /^(?<customerId>\d+),(?<day>\d{4}-\d{2}-\d{2}),(?<quantity>\d+),(?<amount>\d+\.\d{2})$/;

/** Returns all purchases in the order of the file: by customer, then by day. Equal rows are separate purchases. */
export async function readTransactions(file: URL = historyFile): Promise<readonly Transaction[]> {
  const [first, ...lines] = (await readFile(file, 'utf8')).trimEnd().split('\n');
  if (first !== header)
    throw new Error(`${file.pathname}:1: expected the columns ${header}, found ${first ?? 'nothing'}`);
  // Line 1 is the header, and line numbers begin with 1.
  return lines.map((line, index) => parseTransaction(line, `${file.pathname}:${index + 2}`));
}

function parseTransaction(line: string, place: string): Transaction {
  const { customerId, day, quantity, amount } = row.exec(line)?.groups ?? {};
  if (customerId === undefined || day === undefined || quantity === undefined || amount === undefined) {
    throw new Error(`${place}: expected a line such as 42,1997-01-31,2,29.33, found ${JSON.stringify(line)}`);
  }
  return { customerId, day, quantity: Number(quantity), amount };
}
