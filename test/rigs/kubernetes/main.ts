/**
 * `npm run test:kubernetes` installs the previous release with the chart,
 * then upgrades, rolls back, scales and disrupts it under load. Exits with 1 if a read failed or an answer was wrong.
 * README.md lists the requirements.
 */
import { randomInt } from 'node:crypto';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MOST_SEED, namedIn, readCommandLine, UsageError, wholeNumber } from '../command-line.ts';
import { countViolations, reportOf } from '../faults/checker/report.ts';
import { openCluster } from './cluster.ts';
import { scenarios } from './scenarios.ts';
import { openTrial } from './trial.ts';

const HELP = `npm run test:kubernetes -- --image tandem:0.2.0 --before tandem:0.1.0 [options]
  --image <name>             the image to upgrade to
  --before <name>            the image of the previous release
  --namespace tandem-trial   the namespace of the installation
  --only <names>             of ${scenarios.map(({ name }) => name).join(', ')} (default: all)
  --seed <number>            repeats the load of that seed (default: a random one)
  --folder <path>            the folder of the history (default: a new one)
`;

const OPTIONS = {
  image: { type: 'string' },
  before: { type: 'string' },
  namespace: { type: 'string', default: 'tandem-trial' },
  only: { type: 'string' },
  seed: { type: 'string' },
  folder: { type: 'string' },
} as const;

const { image, before, namespace, chosen, seed, ...values } = readCommandLine(HELP, OPTIONS, (given) => {
  const { image, before, only } = given;
  if (!image || !before || image === before)
    throw new UsageError('name two images: --image tandem:0.2.0 --before tandem:0.1.0');
  return {
    ...{ image, before, namespace: given.namespace, folder: given.folder },
    chosen: only === undefined ? scenarios : namedIn('only', only, scenarios),
    seed: given.seed === undefined ? randomInt(2 ** 31) : wholeNumber('seed', given.seed, 0, MOST_SEED),
  };
});
const say = (line: string) => void process.stdout.write(`${new Date().toISOString()} ${line}\n`);
const folder = values.folder ?? (await mkdtemp(join(tmpdir(), 'tandem-kubernetes-')));
await mkdir(folder, { recursive: true });
say(`seed ${seed}, folder ${folder}`);

const cluster = await openCluster(namespace);
const trial = await openTrial(cluster, { image, before, seed, folder, say });
try {
  for (const { name, mayFail, run } of chosen) {
    const failedBefore = trial.failedReads();
    say(name);
    await run(trial);
    const failed = trial.failedReads() - failedBefore;
    say(`${name}: done, ${failed} reads failed`);
    if (failed > 0 && !mayFail) process.exitCode = 1;
  }
  await trial.finish();
  say(reportOf(trial.checker));
  if (countViolations(trial.checker) > 0) process.exitCode = 1;
} finally {
  await trial.close();
}
