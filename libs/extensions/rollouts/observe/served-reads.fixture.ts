/**
 * A process that serves one user after another until it is killed. It prints the numbers of stored reads and exposures.
 */

import { answerOf } from '@tandem/freshness/answer.fixture';
import type { Predictor } from '@tandem/freshness/predictor';
import { createPool } from '@tandem/offline-store/sql/database';
import { silentLog } from '@tandem/telemetry/log';
import { createMetrics } from '@tandem/telemetry/metrics';
import { observeServed } from './observe-served.ts';

const [url = '', rolloutId = ''] = process.argv.slice(2);
const pool = createPool({ url, max: 2, applicationName: 'served-reads-test' });
const metrics = createMetrics({ app: 'test', processMetrics: false });
const host = { pool, metrics, log: silentLog, assignments: () => undefined, mayInfer: () => true };
const { onAnswer } = observeServed(host, 50);
const rollout = { id: rolloutId, kind: 'ab', step: 0, overridden: false } as const;
const predictor: Predictor = {
  name: 'repurchase',
  keyType: 'int8',
  policy: {
    freshness: {
      ...{ maxAgeMs: null, live: true, liveTimeoutMs: 50, onLiveFailure: 'stale', unverified: true, default: null },
      events: [],
    },
    batch: { schedule: null, chunkSize: 100, minCoverage: 0 },
  },
};

for (let served = 0; ; ) {
  const { rows } = await pool.query<{ kept: number; exposures: number }>(
    `select coalesce(sum((counts ->> 'reads')::int), 0)::int as kept,
      (select count(*)::int from tandem.exposures where rollout_id = $1) as exposures
      from tandem.arm_counts where rollout_id = $1`,
    [rolloutId],
  );
  process.stdout.write(`${served} ${rows[0]?.kept} ${rows[0]?.exposures}\n`);
  for (const userId of ['1', `${process.pid}-${served}`]) {
    served++;
    const result = answerOf({ userId, rollout, contextVersion: 0 });
    onAnswer({ predictor, userId, result, ms: 1, features: 'stored' });
  }
}
