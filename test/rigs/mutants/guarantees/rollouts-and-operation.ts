/** The mutants of guarantees 27 to 40 of docs/guarantees.md: rollouts, erasure and operation. */
import type { GuaranteeMutant } from '../mutant.ts';

export const rolloutsAndOperation: readonly GuaranteeMutant[] = [
  {
    guarantee: 27,
    name: 'rollback-leaves-floor',
    what: 'control M3: a rollback does not raise the overlay floor',
    patches: [
      {
        file: 'libs/offline-store/generations/generations.ts',
        find: 'raiseFloor: true, restartExpiry: true',
        replace: 'raiseFloor: false, restartExpiry: true',
      },
    ],
  },
  {
    guarantee: 27,
    test: 1,
    name: 'withdrawals-not-compared',
    what: 'an unverified answer does not compare the count of withdrawals in Redis',
    patches: [
      {
        file: 'libs/freshness/unverified-read.ts',
        find: 'return told.history === history && told.count === withdrawals;',
        replace: 'return told.history === history;',
      },
    ],
  },
  {
    guarantee: 28,
    name: 'base-outdated-with-upper',
    what: 'a row of the base is outdated if the generation above it is',
    patches: [
      {
        file: 'libs/freshness/judge.ts',
        find: 'layerOf(generation, candidate.generationId)?.isOutdated === true;',
        replace: 'generation !== null && generation.isOutdated;',
      },
    ],
  },
  {
    guarantee: 28,
    test: 1,
    name: 'base-of-partial-bucket',
    what: 'a row of the base answers although Redis may lack a row above it',
    patches: [
      {
        file: 'libs/online-store/predictions.ts',
        find: `  if (base === null || replyAt(reply, 0)?.toString('latin1') !== IS_WHOLE) return null;`,
        replace: '  if (base === null || (!Array.isArray(reply) && String(reply) !== IS_WHOLE)) return null;',
      },
    ],
  },
  {
    guarantee: 29,
    name: 'failed-load-counts',
    what: 'an API that has failed to load a version does not delay its rollout',
    patches: [
      {
        file: 'libs/prediction/processes/processes.ts',
        find: `kind === 'api' && state !== 'ready');`,
        replace: `kind === 'api' && state === 'loading');`,
      },
    ],
  },
  {
    guarantee: 30,
    name: 'arms-for-a-second',
    what: 'control R1: a process asks for its arms once a second, so an aborted arm keeps its users meanwhile',
    patches: [
      {
        file: 'libs/offline-store/certificate/authority.ts',
        find: `  let known: Known = {
`,
        replace: `  let armsAt = Number.NEGATIVE_INFINITY;
  let known: Known = {
`,
      },
      {
        file: 'libs/offline-store/certificate/authority.ts',
        find: `      const arms = armsOf(row, told.arms);
`,
        replace: `      const isRecent = told.arms !== NO_ARMS && performance.now() - armsAt < 1_000;
      const arms = isRecent ? told.arms : armsOf(row, told.arms);
      if (!isRecent) armsAt = performance.now();
`,
      },
    ],
  },
  {
    guarantee: 30,
    test: 1,
    name: 'abort-unconfirmed',
    what: 'an abort is acknowledged before Redis has the count of withdrawals',
    patches: [
      {
        file: 'libs/extensions/rollouts/rules/confirmed-moves.ts',
        find: '    abort: (...asked) => confirming(() => abort(...asked)),\n',
        replace: '',
      },
      {
        file: 'libs/extensions/rollouts/rules/confirmed-moves.ts',
        find: 'const { begin, advance, promote, abort, end } = rollouts;',
        replace: 'const { begin, advance, promote, end } = rollouts;',
      },
    ],
  },
  {
    guarantee: 31,
    name: 'worse-canary-noted',
    what: 'a canary that is proven worse only gets a note',
    patches: [
      {
        file: 'libs/extensions/rollouts/rules/analyse-rollouts.ts',
        find: '({ rollouts }) => rollouts.abort(id, change);',
        replace: '({ rollouts }) => rollouts.note(id, change.reason);',
      },
    ],
  },
  {
    guarantee: 32,
    name: 'erasure-leaves-redis',
    what: 'an erasure deletes nothing from Redis',
    patches: [
      {
        file: 'libs/prediction/erasure/erase-user.ts',
        find: 'online.forget([userId], locations)',
        replace: 'online.forget([], locations)',
      },
    ],
  },
  {
    guarantee: 32,
    test: 1,
    name: 'blocked-servable',
    what: 'after a readmission, a prediction from before the erasure is served as stale',
    patches: [
      {
        file: 'libs/freshness/judge.ts',
        find: `  return state === 'stale' || state === 'expired';`,
        replace: `  return state !== 'foreign' && !isFresh(state);`,
      },
    ],
  },
  {
    guarantee: 33,
    name: 'outcome-by-time',
    what: 'an outcome with a known id is accepted again at another time',
    patches: [
      {
        file: 'migrations/0015_exposures_and_outcomes.sql',
        find: `  primary key (source, id)
);
create index outcomes_in_time`,
        replace: `  primary key (source, id, accepted_at)
);
create index outcomes_in_time`,
      },
    ],
  },
  {
    guarantee: 34,
    name: 'short-grace',
    what: 'a draining server gives requests in progress a thousandth of the grace period: wrong unit',
    patches: [
      {
        file: 'libs/http-server/server-drain.ts',
        find: '    }, graceMs);',
        replace: '    }, graceMs / 1_000);',
      },
    ],
  },
  {
    guarantee: 35,
    name: 'patient-migration',
    what: 'a migration waits for its lock without a limit, and other statements wait behind it',
    patches: [
      {
        file: 'migrations/0011_count_of_erasures.sql',
        find: `set local lock_timeout = '100ms';
`,
        replace: '',
      },
    ],
  },
  {
    guarantee: 36,
    name: 'key-stored-in-clear',
    what: 'an API key is stored as its text, not as its digest',
    patches: [
      {
        file: 'libs/offline-store/api-keys.ts',
        find: 'insertUnlessFull(db, id, key, { digest: digestOf(text, pepper), pepperId',
        replace: 'insertUnlessFull(db, id, key, { digest: Buffer.from(text), pepperId',
      },
    ],
  },
  {
    guarantee: 36,
    test: 1,
    name: 'key-in-log',
    what: 'the secret of an API key in a path is logged',
    patches: [
      {
        file: 'libs/telemetry/log.ts',
        find: `    .replace(/\\b(tandem_(?:live|test)_[0-9a-f]{16})_[0-9a-z_]+/gi, \`$1_\${MASK}\`)
`,
        replace: '',
      },
    ],
  },
  {
    guarantee: 37,
    name: 'idle-worker-healthy',
    what: 'a worker without a running job is never dead',
    patches: [
      {
        file: 'libs/queue/stalled-worker.ts',
        find: 'heldFor(idleSince, jobClass, running < concurrency &&',
        replace: 'heldFor(idleSince, jobClass, running > 0 && running < concurrency &&',
      },
    ],
  },
  {
    guarantee: 38,
    name: 'first-server-kept',
    what: 'a server that refuses connections stays the presumed primary',
    patches: [
      {
        file: 'libs/offline-store/sql/primary-pool.ts',
        find: `        if (isBroken(error)) servers.leave(this.address, error);
        (done as`,
        replace: '        (done as',
      },
    ],
  },
  {
    guarantee: 39,
    name: 'settings-of-others',
    what: 'a transaction on a session that a pooler lends does not make its settings',
    patches: [
      {
        file: 'libs/offline-store/sql/session-settings.ts',
        find: `\`\${begin === 'begin' ? BEGIN : begin}; \${frame.local}\``,
        replace: `\`\${begin === 'begin' ? BEGIN : begin}\``,
      },
    ],
  },
  {
    guarantee: 40,
    name: 'restart-continues-history',
    what: 'without a timeline, the start time of Postgres is not part of the history',
    patches: [
      {
        file: 'migrations/0058_history_of_managed_servers.sql',
        find: 'started := extract(epoch from pg_postmaster_start_time())::text;',
        replace: `started := 'unknown';`,
      },
    ],
  },
];
