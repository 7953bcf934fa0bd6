/** N11 and N12: wrong headers on a correct answer. */
import type { Plant } from '../patch.ts';

const pointer = JSON.stringify(new URL('../pointer-of-redis.ts', import.meta.url).href);

export const pointerInRedis: Plant = {
  name: 'N11',
  what: "readers trust the assignment in Redis for three seconds, also if Postgres' assignment differs",
  patches: [
    {
      file: 'libs/freshness/reader.ts',
      find: 'const assignments = notice(certificate);',
      replace: `const assignments = await (await import(${pointer})).pointerOfRedis(notice(certificate));`,
    },
  ],
};

export const shortETag: Plant = {
  name: 'N12',
  what: 'the entity tag is made without the source and the current context versions',
  patches: [
    { file: 'apps/api/routes/predictions/prediction-view.ts', find: '    answer.source,\n', replace: '' },
    {
      file: 'apps/api/routes/predictions/prediction-view.ts',
      find: '    answer.contextVersion,\n    answer.lastConcerningVersion,\n',
      replace: '',
    },
  ],
};
