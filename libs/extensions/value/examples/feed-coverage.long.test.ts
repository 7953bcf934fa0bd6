/** Over 100 seeds, the intervals of the report contain the true value of the simulator about as often as they claim. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { feedHistory } from '../../../../apps/feed/feed-history.ts';
import { trueGain } from '../../../../apps/feed/truth.fixture.ts';
import { readHistory } from '../commands/read-history.ts';
import { reportHistory } from '../commands/report-history.ts';

const USERS = 300;
const CADENCES = [3_600_000, 86_400_000];

test('the interval contains the true gain for at least 90 of 100 seeds', { timeout: 1_200_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tandem coverage-'));
  const file = join(folder, 'h.ndjson');
  const truths = CADENCES.map((cadence) =>
    trueGain(
      cadence,
      Array.from({ length: 100 }, (_, i) => 9_001 + i),
      USERS,
    ),
  );
  const covered = CADENCES.map(() => 0);
  for (let seed = 1; seed <= 100; seed++) {
    await writeFile(file, [...feedHistory({ seed, users: USERS })].join('\n'));
    const source = { ...(await readHistory(file)), notes: [] };
    const { gains } = await reportHistory(source, {
      ...{
        predictor: 'offer',
        config: fileURLToPath(new URL('../../../../apps/feed/', import.meta.url)),
        output: undefined,
        top: 10,
        seed,
      },
      ...{ cadencesMs: CADENCES, memoryLimitMb: 512 },
    });
    gains.forEach(({ change }, i) => {
      const truth = truths[i] ?? Number.NaN;
      if (change.low <= truth && truth <= change.high) covered[i] = (covered[i] ?? 0) + 1;
    });
  }
  await rm(folder, { recursive: true });
  for (const count of covered) expect(count).toBeGreaterThanOrEqual(90);
});
