/** Mutants of `apps/api` and of the key ring: authorisation, status codes, headers, bounds, pages, arguments. */
import type { OtherMutant } from './mutant.ts';

const area = 'routes';

const HTTP: readonly OtherMutant[] = [
  {
    name: 'etag-without-context',
    what: 'control N12: an entity tag lacks the context version of the answer',
    area,
    isControl: true,
    patches: [
      {
        file: 'apps/api/routes/predictions/prediction-view.ts',
        find: '    answer.contextVersion,\n',
        replace: '',
      },
    ],
    caughtBy: ['apps/api/routes/predictions/read-one-directly.integration.test.ts'],
  },
  {
    name: 'not-cached-503',
    what: 'only-if-cached without a stored prediction is answered 503, not 504',
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/freshness/error-codes.ts',
        find: 'not_cached: { status: 504,',
        replace: 'not_cached: { status: 503,',
      },
    ],
    caughtBy: ['libs/endpoints/serve-endpoint.test.ts'],
  },
  {
    name: 'prediction-in-shared-caches',
    what: "a user's prediction lacks `private`, so that shared caches may keep it",
    area,
    isControl: false,
    patches: [
      {
        file: 'apps/api/routes/predictions/read-one.ts',
        find: "'cache-control': 'private, no-cache',",
        replace: "'cache-control': 'no-cache',",
      },
    ],
    caughtBy: ['apps/api/routes/predictions/read-one.integration.test.ts'],
  },
  {
    name: 'body-bounded-by-piece',
    what: 'the size limit applies to each chunk of a body, and not to the whole body',
    area,
    isControl: false,
    patches: [
      { file: 'libs/endpoints/body.ts', find: '  let size = 0;\n', replace: '' },
      {
        file: 'libs/endpoints/body.ts',
        find: '    size += chunk.length;\n    if (size > MAX_BODY_BYTES) throw tooLarge();\n',
        replace: '    if (chunk.length > MAX_BODY_BYTES) throw tooLarge();\n',
      },
    ],
    caughtBy: ['libs/endpoints/read-body.test.ts'],
  },
  {
    name: 'next-page-of-nothing',
    what: 'a full last page names a next page, which is empty: wrong boundary',
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/endpoints/page-query.ts',
        find: 'next: found.length > limit && last !== undefined',
        replace: 'next: found.length >= limit && last !== undefined',
      },
    ],
    caughtBy: ['libs/endpoints/page-query.test.ts'],
  },
];

const KEYS: readonly OtherMutant[] = [
  {
    name: 'keys-required-where-local',
    what: 'by default API keys are required only on loopback: inverted condition',
    area,
    isControl: false,
    patches: [
      {
        file: 'apps/api/keys/choose-mode.ts',
        find: "(mode === 'auto' && !isLocal)",
        replace: "(mode === 'auto' && isLocal)",
      },
    ],
    caughtBy: ['apps/api/keys/choose-mode.test.ts'],
  },
  {
    name: 'key-outlives-expiry',
    what: 'an API key is still accepted at the moment of its expiry: off by one',
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/prediction/keys/key-ring.ts',
        find: "if (key.expiresAt <= now) return 'expired';",
        replace: "if (key.expiresAt < now) return 'expired';",
      },
    ],
    caughtBy: ['libs/prediction/keys/key-ring.test.ts'],
  },
  {
    name: 'audit-for-readers',
    what: 'the audit requires only the scope models:read',
    area,
    isControl: false,
    patches: [
      {
        file: 'apps/api/routes/audit/list.ts',
        find: "scope: 'rollouts:admin',",
        replace: "scope: 'models:read',",
      },
    ],
    caughtBy: ['apps/api/routes/audit/list.integration.test.ts'],
  },
];

const HANDLERS: readonly OtherMutant[] = [
  {
    name: 'promote-swapped',
    what: "a promotion takes the arm's name for the rollout's id: swapped arguments",
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/extensions/rollouts/routes/move.ts',
        find: 'rollouts.promote(id, variant, change)',
        replace: 'rollouts.promote(variant, id, change)',
      },
    ],
    caughtBy: ['libs/extensions/rollouts/routes/move.integration.test.ts'],
  },
  {
    name: 'erasure-path-logged',
    what: 'a rejected erasure logs the path, which names the user',
    area,
    isControl: false,
    patches: [
      {
        file: 'libs/endpoints/endpoint.ts',
        find: "const isPathLogged = scope !== 'users:erase';",
        replace: "const isPathLogged = method !== 'delete';",
      },
    ],
    caughtBy: ['libs/endpoints/serve-endpoint.test.ts'],
  },
];

export const routeMutants: readonly OtherMutant[] = [...HTTP, ...KEYS, ...HANDLERS];
