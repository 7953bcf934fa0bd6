/**
 * `npm run bench:peers` compares Tandem with other servers of predictions and models, on one machine with one load
 * generator. It installs pinned peers into virtual environments, measures alternating rounds, and writes docs/peers.md.
 *
 * Exits with 1 if a contest failed, and with 2 for a wrong command line or a machine that cannot run the comparison. A
 * missed goal does not change the exit code; the table shows it.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { currentCommit, currentLoad, describeMachine } from '../bench/machine.ts';
import { startServersUntilSignal } from '../bench/service.ts';
import { anyNumber, namedIn, readCommandLine, UsageError, wholeNumber } from '../command-line.ts';
import { contestsOf, KINDS, type Kind } from './contests.ts';
import { type ContestResult, measureContest } from './measure.ts';
import { PEERS, type Peer } from './peers.ts';
import { type PeersReport, renderFigures, replaceFigures } from './report.ts';
import {
  checkPython,
  ENVIRONMENTS,
  type Environment,
  type EnvironmentName,
  pinnedVersions,
  prepareEnvironment,
} from './virtual-environments.ts';
import { createWorld, type World } from './world.ts';

const root = resolve(import.meta.dirname, '../../..');
const FIGURES = join(root, '.tandem/peers.json');
const DOCUMENT = join(root, 'docs/peers.md');
/** With fewer rounds, intervals of 95 % are too wide for the document. */
const ROUNDS_OF_A_DOCUMENT = 9;

const HELP = `npm run bench:peers -- [options]
  --only ${ENVIRONMENTS.join(',')}   peers to measure beside Tandem (default: all)
  --kinds ${KINDS.join(',')}   kinds of contests to measure (default: all)
  --users 100000     users
  --rounds 9         rounds of each measurement; figures are their medians
  --seconds 2        of load in a round
  --python python3   the Python that the virtual environments are made of
  --skip-install     use the virtual environments as they are

The figures go to .tandem/peers.json. docs/peers.md is written by a run of all peers and kinds with ${ROUNDS_OF_A_DOCUMENT} rounds or more. Linux only.
`;

interface CommandLine {
  readonly only: readonly EnvironmentName[];
  readonly kinds: readonly Kind[];
  readonly users: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly python: string;
  readonly skipInstall: boolean;
}

const text = (value: string) => ({ type: 'string', default: value }) as const;
const OPTIONS = {
  ...{ only: text(ENVIRONMENTS.join(',')), kinds: text(KINDS.join(',')), users: text('100000') },
  ...{ rounds: text('9'), seconds: text('2'), python: text('python3') },
  'skip-install': { type: 'boolean', default: false } as const,
};

const commandLine = readCommandLine(HELP, OPTIONS, (values): CommandLine => {
  const some = <T extends string>(name: 'only' | 'kinds', known: readonly T[]) =>
    namedIn(
      name,
      values[name],
      known.map((one) => ({ name: one })),
    ).map((one) => one.name);
  const [only, kinds] = [some('only', ENVIRONMENTS), some('kinds', KINDS)];
  if (contestsOf(kinds, only, 1).length === 0)
    throw new UsageError(`nothing to measure: no peer of --only ${only} takes part in --kinds ${kinds}`);
  return {
    ...{ only, kinds, python: values.python, skipInstall: values['skip-install'] },
    users: wholeNumber('users', values.users, 1_000, 1_000_000),
    rounds: wholeNumber('rounds', values.rounds, 1, 99),
    seconds: anyNumber('seconds', values.seconds, 0.5, 600),
  };
});

const say = (line: string) => process.stderr.write(`peers: ${line}\n`);

interface Chosen {
  readonly python: string;
  readonly peers: readonly (readonly [Peer, Environment])[];
  readonly leftOut: readonly string[];
}

/** Installs the peers that this machine can run. */
async function choosePeers({ only, python, skipInstall }: CommandLine): Promise<Chosen> {
  if (process.platform !== 'linux') throw new Error('CPU and memory are read from /proc, which only Linux has');
  const version = await checkPython(python);
  const peers: [Peer, Environment][] = [];
  const leftOut: string[] = [];
  const free = await availableMegabytes();
  const folder = join(root, '.tandem/peers');
  for (const peer of PEERS.filter(({ name }) => only.includes(name))) {
    if (free >= peer.memoryMb)
      peers.push([peer, await prepareEnvironment(peer.name, { folder, python, skipInstall, say })]);
    else leftOut.push(`${peer.title}, which needs ${peer.memoryMb} MB of free memory, but only ${free} MB are free`);
  }
  for (const line of leftOut) say(`leaving out ${line}`);
  if (peers.length === 0) throw new Error('no peer can be measured: free memory, or choose other peers with --only');
  return { python: version, peers, leftOut };
}

async function availableMegabytes(): Promise<number> {
  const kilobytes = /^MemAvailable:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'latin1'))?.[1];
  return Math.floor(Number(kilobytes) / 1024);
}

async function measureAll(commandLine: CommandLine, world: World, { peers }: Chosen): Promise<ContestResult[]> {
  const names = peers.map(([{ name }]) => name);
  const contests = contestsOf(commandLine.kinds, names, availableParallelism());
  if (contests.some(({ kind }) => kind === 'stored')) {
    for (const [peer, environment] of peers) {
      if (!peer.prepare) continue;
      say(`storing the predictions for ${peer.title}`);
      await peer.prepare(environment, world);
    }
  }
  const results: ContestResult[] = [];
  for (const contest of contests) results.push(await measureContest(world, contest, peers, { ...commandLine, say }));
  return results;
}

/** Measures and writes the report. Returns the exit code. */
async function measure(commandLine: CommandLine, chosen: Chosen): Promise<number> {
  const loadAtStart = currentLoad();
  say('starting Postgres and Redis');
  const servers = await startServersUntilSignal();
  try {
    const machine = await describeMachine(servers, loadAtStart);
    const world = await createWorld({ users: commandLine.users, say }, servers);
    const contests = await measureAll(commandLine, world, chosen);
    const versions: Record<string, string[]> = {};
    for (const [{ title, name, packages }] of chosen.peers) versions[title] = await pinnedVersions(name, packages);
    const { users, rounds, seconds } = commandLine;
    return await write(commandLine, {
      ...{ date: new Date().toISOString(), commit: currentCommit(root), machine, python: chosen.python },
      ...{ options: { users, rounds, seconds }, versions, contests, leftOut: chosen.leftOut },
    });
  } finally {
    await servers.stop();
  }
}

/** Prints the figures and writes them to their files. Returns the exit code. */
async function write({ only, kinds, rounds }: CommandLine, report: PeersReport): Promise<number> {
  await mkdir(dirname(FIGURES), { recursive: true });
  await writeFile(FIGURES, `${JSON.stringify(report, null, 2)}\n`);
  process.stdout.write(`${renderFigures(report)}\n`);
  say(`the figures are in ${FIGURES}`);
  const areAll = ENVIRONMENTS.every((name) => only.includes(name)) && KINDS.every((kind) => kinds.includes(kind));
  const hasFailed = report.contests.some(({ failures }) => failures.length > 0);
  const isWhole = areAll && report.leftOut.length === 0 && !hasFailed;
  if (isWhole && rounds >= ROUNDS_OF_A_DOCUMENT) {
    await writeFile(DOCUMENT, replaceFigures(await readFile(DOCUMENT, 'utf8'), report));
    say(`and in ${DOCUMENT}`);
  } else say(`docs/peers.md is not changed: it requires all peers and kinds, and ${ROUNDS_OF_A_DOCUMENT} rounds`);
  return hasFailed ? 1 : 0;
}

/** Returns the exit code: 2 on a machine that cannot run the comparison. */
async function main(): Promise<number> {
  let chosen: Chosen;
  try {
    chosen = await choosePeers(commandLine);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return 2;
  }
  return measure(commandLine, chosen);
}

process.exitCode = await main();
