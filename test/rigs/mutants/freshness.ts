/**
 * Mutants of `libs/freshness` and `libs/prediction`: judging stored predictions, certificates, reads, live flights,
 * arms, erasure.
 */
import type { OtherMutant } from './mutant.ts';

const area = 'freshness';

const CONTROLS: readonly OtherMutant[] = [
  {
    name: 'overlay-of-any-history',
    what: 'control Q1: an overlay entry fits in every history of the database',
    area,
    isControl: true,
    patches: [
      {
        file: 'libs/freshness/judge.ts',
        find: 'return candidate.history === history && isOfArm(candidate, assignment);',
        replace: "return history !== '' && isOfArm(candidate, assignment);",
      },
    ],
    caughtBy: ['libs/freshness/judge.test.ts'],
  },
  {
    name: 'tombstone-ignored',
    what: 'control E2: once a user is readmitted, predictions from before the erasure count again',
    area,
    isControl: true,
    patches: [
      {
        file: 'libs/freshness/judge.ts',
        find: "  if (user.deletedVersion > 0 && candidate.contextVersion <= user.deletedVersion) return 'blocked';\n",
        replace: '',
      },
    ],
    caughtBy: ['libs/freshness/judge.test.ts'],
  },
  {
    name: 'landed-result-of-any-label',
    what: "control M10: a reader takes a finished inference although its label is below the reader's own version",
    area,
    isControl: true,
    patches: [
      {
        file: 'libs/prediction/live/live-flights.ts',
        find: "return outcome.kind === 'predicted' && reader !== undefined && outcome.contextVersion >= reader.minVersion;",
        replace: "return outcome.kind === 'predicted' && reader !== undefined;",
      },
    ],
    caughtBy: ['libs/prediction/live/live-flights.test.ts'],
  },
  {
    name: 'server-seen-after-certificate',
    what: 'control M11: the Redis server for unverified answers is noted after the certificate has arrived, not before',
    area,
    isControl: true,
    patches: [
      { file: 'libs/freshness/reader.ts', find: '    const server = online.serverId();\n', replace: '' },
      {
        file: 'libs/freshness/reader.ts',
        find: 'this.#unverified.notice(certificate, server);',
        replace: 'this.#unverified.notice(certificate, online.serverId());',
      },
    ],
    caughtBy: ['libs/freshness/read-unverified.integration.test.ts'],
  },
];

const MISTAKES: readonly OtherMutant[] = [
  {
    name: 'rollback-restarts-overlay',
    what: "a rollback restarts the expiry of overlay entries, not only of its generation's predictions",
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/freshness/judge.ts',
        find: "const restart = candidate.layer === 'generation' ? assignment.expiresFrom : null;",
        replace: 'const restart = assignment.expiresFrom;',
      },
    ],
    caughtBy: ['libs/freshness/judge.test.ts'],
  },
  {
    name: 'max-stale-in-milliseconds',
    what: 'max-stale is compared in milliseconds, though callers send seconds',
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/freshness/judge.ts',
        find: 'if (staleMs > options.maxStale * 1000) return undefined;',
        replace: 'if (staleMs > options.maxStale) return undefined;',
      },
    ],
    caughtBy: ['libs/freshness/answer.test.ts'],
  },
  {
    name: 'default-despite-token',
    what: 'a caller who demands a context gets the declared default if live inference fails',
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/freshness/ladder.ts',
        find: "(onLiveFailure === 'error' || read.options.minContext ? undefined",
        replace: "(onLiveFailure === 'error' ? undefined",
      },
    ],
    caughtBy: ['libs/freshness/ladder.test.ts'],
  },
  {
    name: 'count-restored-before-sweeps',
    what: 'the count of erasures is restored before the deletes that it covers are due again',
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/prediction/erasure/keep-erased.ts',
        find: `    await store.sweepAgain(counted);
    await online.restore(() => store.count());
`,
        replace: `    await online.restore(() => store.count());
    await store.sweepAgain(counted);
`,
      },
    ],
    caughtBy: ['libs/prediction/erasure/keep-erased.test.ts'],
  },
  {
    name: 'single-read-always-stable',
    what: 'a read of one user is served from the stable arm, also if the user is in another arm',
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/freshness/candidates.ts',
        find: 'if (assignments.rollout === null) return',
        replace: 'if (assignments.rollout === null || userIds.length === 1) return',
      },
    ],
    caughtBy: ['libs/freshness/read-arms.integration.test.ts'],
  },
];

export const freshnessMutants: readonly OtherMutant[] = [...CONTROLS, ...MISTAKES];
