/**
 * `npm run test:matrix` runs a selection of the integration and end-to-end tests with the supported versions of
 * Postgres, Redis, Valkey and Node. It also runs them on the Postgres of distributions, which compiles plans, and from
 * a path with a space, as root and as an ordinary user.
 *
 * Servers are containers, or a Postgres that is installed on the machine. A combination that the machine cannot run is
 * skipped and counted, with the reason. Exits with 0 if all tests that ran passed, with 1 if a test failed or no
 * combination could run, and with 2 for a wrong command line.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { namedIn, readCommandLine } from '../command-line.ts';
import { type Combination, combinations } from './combinations.ts';
import { NotHere, provideImage, type ReadyImage } from './images.ts';
import { findInstalledPostgres, type InstalledPostgres } from './installed-postgres.ts';
import { provideNode } from './nodes.ts';
import { runSuite } from './run-suite.ts';
import { providePlace, removeCopy } from './spaced-copy.ts';
import { type Outcome, renderTable } from './table.ts';

const checkout = resolve(import.meta.dirname, '../../..');
const folder = join(checkout, '.tandem/matrix');
const names = combinations.map(({ name }) => name);
const byDefault = combinations.filter(({ onlyNamed }) => !onlyNamed);

const HELP = `npm run test:matrix -- [options]
  --only <names>   of ${names.join(', ')}
                   (default: ${byDefault.map(({ name }) => name).join(', ')})
Logs, and the figures as JSON, go to .tandem/matrix.
`;

const say = (line: string) => process.stderr.write(`matrix: ${line}\n`);

const chosen = readCommandLine(HELP, { only: { type: 'string' } } as const, ({ only }) =>
  only === undefined ? byDefault : namedIn('only', only, combinations),
);

/** The variables that `test/containers/choose-servers.ts` reads. */
function serversOf(postgres: ReadyImage | InstalledPostgres | null, redis: ReadyImage | null): Record<string, string> {
  if (postgres && 'binDir' in postgres) return { TEST_SERVERS: 'embedded', TEST_POSTGRES_BIN: postgres.binDir };
  if (!postgres || !redis) return { TEST_SERVERS: 'embedded' };
  return { TEST_SERVERS: 'containers', TEST_POSTGRES_IMAGE: postgres.name, TEST_REDIS_IMAGE: redis.name };
}

async function measure(combination: Combination): Promise<Outcome> {
  const { name, suite, images } = combination;
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  try {
    const node = await provideNode(combination.node, folder);
    const installed = combination.installedPostgres && (await findInstalledPostgres(combination.installedPostgres));
    const postgres = installed || (images && (await provideImage(images.postgres, 'postgres')));
    const redis = images && (await provideImage(images.redis, 'redis-server'));
    const place = await providePlace(combination.place, checkout, folder);
    const servers = serversOf(postgres, redis);
    const versions = { node: node.version, postgres: postgres?.version ?? null, redis: redis?.version ?? null };
    say(
      `${name}: Node ${versions.node}, Postgres ${postgres?.version ?? 'embedded'}, Redis ${redis?.version ?? 'embedded'}`,
    );
    const log = join(folder, name);
    const tally = await runSuite({ suite, node: node.program, place, servers, log });
    say(`${name}: ${tally.passed} passed, ${tally.failed} failed in ${Math.round(seconds())} s`);
    for (const failure of tally.failures) say(`  ${failure}`);
    return { kind: 'run', name, place: combination.place, versions, seconds: seconds(), ...tally };
  } catch (error) {
    if (!(error instanceof NotHere)) throw error;
    say(`${name}: SKIPPED: ${error.message}`);
    return { kind: 'skipped', name, why: error.message };
  }
}

async function main(): Promise<number> {
  mkdirSync(folder, { recursive: true });
  const outcomes: Outcome[] = [];
  try {
    for (const one of chosen) {
      outcomes.push(await measure(one));
      // Written after each combination, so that an interrupted run leaves its results.
      writeFileSync(join(folder, 'matrix.json'), `${JSON.stringify(outcomes, null, 2)}\n`);
    }
  } finally {
    removeCopy(folder);
  }
  process.stdout.write(`${renderTable(outcomes)}\n`);
  const ran = outcomes.filter(({ kind }) => kind === 'run');
  return ran.length > 0 && ran.every((one) => one.kind === 'run' && one.failed === 0) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
