/** Fixture for tests of the value of fresh context to the shop, which `tandem value` reports on the shop's history. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../../../apps/cli/program.fixture.ts';
import { loadHistory } from '../../../../apps/shop/load-history.ts';
import { addDays } from '../../../../apps/shop/purchases-after.ts';
import { defaultPeriod } from '../../../../apps/shop/replay/replay-history.ts';
import { valueHistory } from '../../../../apps/shop/replay/value-history.ts';
import { createShopDatabase, type ShopDatabase } from '../../../../apps/shop/shop-database.fixture.ts';
import type { ValueReport } from '../value-report.ts';

const SHOP = fileURLToPath(new URL('../../../../apps/shop/', import.meta.url));

const { to } = defaultPeriod;

/** Registers the tests for the last days of the history. */
export function testValueOfLast(days: number, leastPurchases: number): void {
  let database: ShopDatabase;
  let folder: string;
  const lines: string[] = [];
  let report: ValueReport & { readonly conclusions: readonly string[] };
  beforeAll(async () => {
    database = await createShopDatabase();
    folder = await mkdtemp(join(tmpdir(), 'tandem shop value-'));
    await loadHistory(database.pool);
    for await (const line of valueHistory(database.pool, { from: addDays(to, 1 - days), to, seed: 1 }))
      lines.push(line);
    await writeFile(join(folder, 'h.ndjson'), lines.join('\n'));
    const { out, err } = await run(['value', 'repurchase', '--config', SHOP, '--history', 'h.ndjson', '--json'], {
      cwd: folder,
    });
    expect(err).toBe('');
    report = JSON.parse(out);
  }, 240_000);
  afterAll(async () => {
    await database.close();
    await rm(folder, { recursive: true });
  });

  test('the history has one read of each customer every day, and one after each purchase', () => {
    const kinds = Map.groupBy(lines.slice(1), (line) => JSON.parse(line).kind);
    const purchases = kinds.get('event')?.length ?? 0;
    expect(purchases).toBeGreaterThan(leastPurchases);
    expect(kinds.get('read')).toHaveLength(days * 2_357 + purchases);
    expect(kinds.get('context')).toHaveLength(days * 2_357 + purchases);
    expect(report.reads).toMatchObject({ all: kinds.get('read')?.length, unknownContext: 0, unscorable: 0 });
  });

  test('the report says that there is no significant gain at any cadence', () => {
    expect(report.conclusions[0]).toBe(
      'No significant gain: on this history, live answers after events were not measurably better than batch-only every 1h, 6h, 1d, 7d.',
    );
    expect(report.gains).toHaveLength(4);
    for (const [i, { change, verdict }] of report.gains.entries()) {
      expect(verdict).toBe('none');
      expect(change.low).toBeLessThan(0);
      expect(change.high).toBeGreaterThan(0);
      expect(report.conclusions[i + 1]).toMatch(/no significant gain; log-loss better by/);
    }
  });
}
