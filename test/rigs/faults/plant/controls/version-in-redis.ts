/**
 * N5 to N7 and N10: the user's version is stored only in Redis. This works while no part fails, so ordinary tests pass.
 * The rig adds faults of Redis, or failures of the write of the version.
 */
import type { Plant } from '../patch.ts';

const byHints = JSON.stringify(new URL('../version-of-redis.ts', import.meta.url).href);

export const versionInRedis: Plant = {
  name: 'version in Redis',
  what: "readers compare with the version that Redis holds, not with Postgres'",
  patches: [
    {
      file: 'libs/freshness/reader.ts',
      find: 'certificate = await authority.certify(distinct, predictorName);',
      replace: `certificate = await (await import(${byHints})).versionsOfRedis(await authority.certify(distinct, predictorName), distinct);`,
    },
  ],
};
