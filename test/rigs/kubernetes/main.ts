/**
 * `npm run test:kubernetes -- --image tandem:0.2.0 --before tandem:0.1.0` installs the previous release with the chart,
 * then upgrades, rolls back, scales and disrupts it under load. Exits with 1 if a read failed or an answer was wrong.
 * README.md lists the requirements.
 */
import { randomInt } from 'node:crypto';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { countViolations, reportOf } from '../faults/checker/report.ts';
import { openCluster } from './cluster.ts';
import { scenarios } from './scenarios.ts';
import { openTrial } from './trial.ts';

const { values } = parseArgs({
  options: {
    image: { type: 'string' },
    before: { type: 'string' },
    namespace: { type: 'string', default: 'tandem-trial' },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    folder: { type: 'string' },
  },
});
const { image, before, namespace } = values;
if (!image || !before || image === before)
  throw new Error('name two images: --image tandem:0.2.0 --before tandem:0.1.0');
const names = values.only.split(',').filter(Boolean);
const unknown = names.filter((name) => !scenarios.some((one) => one.name === name));
if (unknown.length > 0) throw new Error(`--only: there is no scenario ${unknown.join(', ')}`);
const say = (line: string) => void process.stdout.write(`${new Date().toISOString()} ${line}\n`);
const folder = values.folder ?? (await mkdtemp(join(tmpdir(), 'tandem-kubernetes-')));
await mkdir(folder, { recursive: true });
say(`seed ${values.seed}, folder ${folder}`);

const cluster = await openCluster(namespace);
const trial = await openTrial(cluster, { image, before, seed: Number(values.seed), folder, say });
try {
  for (const { name, mayFail, run } of scenarios.filter((one) => names.length === 0 || names.includes(one.name))) {
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
