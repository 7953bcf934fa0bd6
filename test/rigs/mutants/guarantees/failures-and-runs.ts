/** The mutants of guarantees 13 to 26 of docs/guarantees.md: failures, runs and inference. */
import type { GuaranteeMutant } from '../mutant.ts';

export const failuresAndRuns: readonly GuaranteeMutant[] = [
  {
    guarantee: 13,
    name: 'unverified-called-fresh',
    what: 'an answer without a certificate is called fresh',
    patches: [
      {
        file: 'libs/freshness/unverified-read.ts',
        find: `    source: 'stale',
    reason: 'unverified',
    ageSeconds`,
        replace: `    source: best.source,
    reason: 'fresh',
    ageSeconds`,
      },
    ],
  },
  {
    guarantee: 14,
    name: 'lost-generation-ignored',
    what: 'the reconciler looks for generations that Redis has lost only while a run is unfinished',
    patches: [
      {
        file: 'libs/prediction/runs/reconcile.ts',
        find: `    const generationsToLoad = await step('generations', () => hintAtLoads(dependencies), 0);`,
        replace: `    const generationsToLoad = hinted.unfinished === 0 ? 0 : await step('generations', () => hintAtLoads(dependencies), 0);`,
      },
    ],
  },
  {
    guarantee: 15,
    name: 'slots-read-once',
    what: 'the slots of a Redis Cluster are read once, so later primaries are unknown',
    patches: [
      {
        file: 'libs/online-store/cluster-topology.ts',
        find: 'if (ranges === null || this.#isClosed || told === this.#known) return;',
        replace: `if (ranges === null || this.#isClosed || told === this.#known || this.#known !== '') return;`,
      },
    ],
  },
  {
    guarantee: 16,
    name: 'token-of-any-history',
    what: 'a context token of another history is accepted if the user has reached its version',
    patches: [
      {
        file: 'libs/freshness/errors.ts',
        find: '  if (token.history !== history) {',
        replace: '  if (token.history !== history && token.version > user.version) {',
      },
    ],
  },
  {
    guarantee: 17,
    test: 1,
    name: 'restore-not-looked-for',
    what: 'a new connection is used before the remembered marks are looked for',
    patches: [
      {
        file: 'libs/prediction/events/notice-loss.ts',
        find: '      const { newest, isLost } = await look(remembered(recalled));',
        replace: '      const { newest, isLost } = await look(recalled === null ? remembered(recalled) : []);',
      },
    ],
  },
  {
    guarantee: 18,
    test: 1,
    name: 'commit-in-any-history',
    what: 'a chunk is committed in another history than that of its features',
    patches: [
      {
        file: 'libs/offline-store/runs/commit-chunk.ts',
        find: '  if (current.history !== run.history || current.history !== result.history) throw',
        replace: '  if (run.history !== result.history) throw',
      },
    ],
  },
  {
    guarantee: 19,
    name: 'any-redis-server',
    what: 'an unverified answer comes from any Redis server with the same count of erasures',
    patches: [
      {
        file: 'libs/freshness/unverified-read.ts',
        find: 'told === null || told.serverId !== serverId) return null;',
        replace: 'told === null || (serverId === null && told.serverId !== serverId)) return null;',
      },
      {
        file: 'libs/freshness/unverified-read.ts',
        find: 'told?.serverId !== serverId) return false;',
        replace: 'told === null) return false;',
      },
    ],
  },
  {
    guarantee: 20,
    name: 'queue-trusted',
    what: 'the reconciler does not enqueue the chunks of a run that has started',
    patches: [
      {
        file: 'libs/prediction/runs/reconcile.ts',
        find: '  for (const run of runs) chunks += await hintAtNext(dependencies, run);',
        replace: `  for (const run of runs) if (run.state !== 'running') chunks += await hintAtNext(dependencies, run);`,
      },
    ],
  },
  {
    guarantee: 21,
    name: 'run-of-each-scheduler',
    what: 'each scheduler takes the run of a slot for its own',
    patches: [
      {
        file: 'libs/offline-store/runs/runs.ts',
        find: 'await requireRun(db, known), created: false };',
        replace: 'await requireRun(db, known), created: true };',
      },
    ],
  },
  {
    guarantee: 22,
    test: 1,
    name: 'scored-users-returned',
    what: 'a worker that splits a chunk returns also the users that it has scored',
    patches: [
      {
        file: 'libs/prediction/runs/score-chunk.ts',
        find: `userIds: left.map((row) => userIds[row] ?? ''), chunkSize`,
        replace: 'userIds, chunkSize',
      },
    ],
  },
  {
    guarantee: 23,
    name: 'commit-without-fence',
    what: 'control M7: a worker commits a chunk that another worker has taken over',
    patches: [
      {
        file: 'libs/offline-store/runs/commit-chunk.ts',
        find: `where run_id = $1 and no = $2 and fence = $3 and state = 'claimed' returning no`,
        replace: `where run_id = $1 and no = $2 and fence >= $3 and state = 'claimed' returning no`,
      },
    ],
  },
  {
    guarantee: 24,
    name: 'poison-not-alone',
    what: 'the halving of a failing batch ends with four users, most of them healthy',
    patches: [
      {
        file: 'libs/prediction/scoring/halve-failing.ts',
        find: '    if (part.length === 1) work.giveUp',
        replace: '    if (part.length <= 4) work.giveUp',
      },
    ],
  },
  {
    guarantee: 25,
    name: 'late-kill',
    what: 'a child that hangs is killed ten seconds after the deadline, not one',
    patches: [
      {
        file: 'libs/inference/live/pool.ts',
        find: 'killGraceMs: options.killGraceMs ?? 1_000',
        replace: 'killGraceMs: options.killGraceMs ?? 10_000',
      },
    ],
  },
  {
    guarantee: 26,
    name: 'no-retry-after',
    what: 'a live read that is rejected has no Retry-After',
    patches: [
      {
        file: 'libs/endpoints/problem.ts',
        find: 'const seconds = retryAfter ?? ',
        replace: `const seconds = code === 'overloaded' ? undefined : retryAfter ?? `,
      },
    ],
  },
];
