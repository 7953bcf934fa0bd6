/** `node apps/shop/load-history-main.ts`: loads the history of the shop into the database in DATABASE_URL. */
import { Pool } from 'pg';
import { loadHistory } from './load-history.ts';

const db = new Pool({ connectionString: process.env.DATABASE_URL, max: 1 });
try {
  const { loaded, today } = await loadHistory(db);
  const what = loaded === 0 ? 'the history is already loaded' : `${loaded.toLocaleString('en-US')} purchases loaded`;
  console.log(`${what}; the shop's today is ${today}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
} finally {
  await db.end();
}
