/**
 * N1 to N3: freshness by timestamps, the usual design. A prediction carries a time instead of a version. It is fresh if
 * its time is not before the time of the user's last change.
 */
import type { Patch, Plant } from '../patch.ts';
import { plainSet } from './plain-set.ts';

/** The certificate contains the time of each user's last change, and the reader compares times. */
const COMPARE: readonly Patch[] = [
  {
    file: 'libs/offline-store/certificate/certificate-statement.ts',
    find: `\${touchedSql('a.predictor')}\${tellsDemanded`,
    replace: `\${touchedSql('a.predictor')}, \${epochMs('c.updated_at')}\${tellsDemanded`,
  },
  {
    file: 'libs/offline-store/certificate/certificate-statement.ts',
    find: 'const [place, version, deletedVersion, touched, demanded] of',
    replace: 'const [place, version, deletedVersion, touched, changedAt, demanded] of',
  },
  {
    file: 'libs/offline-store/certificate/certificate-statement.ts',
    find: 'stateOf({ version, deletedVersion, touched }, pending.has(predictor))',
    replace: 'stateOf({ changedAt, version, deletedVersion, touched }, pending.has(predictor))',
  },
  {
    file: 'libs/freshness/judge.ts',
    find: "if (candidate.contextVersion < user.touched) return 'stale';",
    replace: "if (candidate.computedAt < (user.changedAt ?? 0)) return 'stale';",
  },
];

const BATCH_STAMP = { file: 'libs/prediction/runs/score-chunk.ts', find: 'computedAt: batch.readAt' };
const LIVE_STAMP = { file: 'libs/prediction/live/run-flights.ts', find: 'computedAt: batch.readAt' };

function stampedAt(clock: string): readonly Patch[] {
  return [BATCH_STAMP, LIVE_STAMP].map((place) => ({ ...place, replace: `computedAt: ${clock}` }));
}

export const stampAtCompletion: Plant = {
  name: 'N1',
  what: 'predictions are stamped when they are complete, and compared with the time of the last event',
  patches: [...COMPARE, ...plainSet, ...stampedAt('Date.now()')],
};

export const eventAtTransactionStart: Plant = {
  name: 'N2',
  what: "predictions are stamped when the context is read, events with now(): their transaction's start",
  patches: [
    ...COMPARE,
    ...plainSet,
    {
      file: 'migrations/0022_order_of_event_values.sql',
      find: `    updated_at = clock_timestamp()
  from changed g`,
      replace: `    updated_at = now()
  from changed g`,
    },
  ],
};

export const skewedClocks: Plant = {
  name: 'N3',
  what: "predictions are stamped by the clock of a machine that is two seconds ahead of Postgres'",
  patches: [...COMPARE, ...plainSet, ...stampedAt('Date.now() + 2_000')],
};
