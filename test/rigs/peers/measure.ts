/** Runs a contest: starts the servers, checks that their answers are equal, and measures them in alternating rounds. */
import { readFileSync } from 'node:fs';
import { load } from '../bench/load.ts';
import { createUserPicker } from '../bench/pick-users.ts';
import { cpuSecondsOf, treeOf } from '../bench/process-usage.ts';
import { type Exchange, openConnection } from '../overload/exchange.ts';
import { among, type Comparison, type Contest, type Kind } from './contests.ts';
import { type Peer, startTandem } from './peers.ts';
import type { RunningServer } from './running-server.ts';
import type { Environment } from './virtual-environments.ts';
import type { Way } from './ways.ts';
import type { User, World } from './world.ts';

/** The figures of one round. */
export interface Measured {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** µs of CPU per request, of the server's processes with inference children. */
  readonly cpuMicros: number;
  /** µs of CPU per request, of Postgres and Redis. */
  readonly storeMicros: number;
}

export interface WayResult {
  readonly name: string;
  readonly rounds: readonly Measured[];
}

export interface ComparisonResult {
  readonly title: string;
  readonly connections: number;
  /** The results of the ways, with Tandem's first. */
  readonly ways: readonly WayResult[];
}

export interface ContestResult {
  readonly kind: Kind;
  readonly workers: number;
  readonly comparisons: readonly ComparisonResult[];
  /** The failed measurements with their reasons. */
  readonly failures: readonly string[];
  /** Maps a server's title to the MB of its processes after the load. Pages shared by several processes count once. */
  readonly memoryMb: Readonly<Record<string, number>>;
}

export interface MeasureOptions {
  readonly rounds: number;
  readonly seconds: number;
  say(line: string): void;
}

type Servers = ReadonlyMap<Way['server'], RunningServer>;

const CHECKED_USERS = 20;
/** The length of the warm-up of each worker in rounds, in which its code is compiled. */
const WARM_UP = 3;
/**
 * The share of answers that may fail. If other work takes the CPU for 250 ms, Postgres does not certify a read in time.
 */
const MOST_FAILED = 0.01;

/** Measures a contest. If a peer does not start, or a comparison fails, the others are still measured. */
export async function measureContest(
  world: World,
  contest: Contest,
  peers: readonly (readonly [Peer, Environment])[],
  options: MeasureOptions,
): Promise<ContestResult> {
  const { kind, workers, model, comparisons } = contest;
  const servers = new Map<Way['server'], RunningServer>();
  const titles = new Map<Way['server'], string>([['tandem', 'Tandem']]);
  const asked = new Set(comparisons.flatMap(({ ways }) => ways.map(({ server }) => server)));
  const failures: string[] = [];
  const attempt = async (what: string, work: () => Promise<unknown>) => {
    options.say(`${kind}, ${workers} workers: ${what}`);
    await work().catch((error: Error) => {
      options.say(`FAILED: ${error.message}`);
      failures.push(`${kind}, ${workers} workers: ${what}: ${error.message.split('\n')[0]}`);
    });
  };
  try {
    servers.set('tandem', await startTandem({ world, workers, model }));
    for (const [peer, environment] of peers.filter(([{ name }]) => asked.has(name))) {
      titles.set(peer.name, peer.title);
      await attempt(`starting ${peer.title}`, async () =>
        servers.set(peer.name, await peer.start(environment, { world, workers, model })),
      );
    }
    const results: ComparisonResult[] = [];
    for (const one of comparisons.flatMap((each) => among([...servers.keys()], each)))
      await attempt(one.title, async () =>
        results.push(await compare(world, one, servers, { ...options, warmUp: WARM_UP * workers })),
      );
    const memory = [...servers].map(([name, { pid }]) => [titles.get(name), memoryMegabytes(pid)]);
    return { kind, workers, comparisons: results, failures, memoryMb: Object.fromEntries(memory) };
  } finally {
    for (const server of [...servers.values()].reverse()) await server.stop();
  }
}

async function compare(
  world: World,
  comparison: Comparison,
  servers: Servers,
  { rounds, seconds, warmUp, say }: MeasureOptions & { readonly warmUp: number },
): Promise<ComparisonResult> {
  const { title, connections, ways } = comparison;
  await checkAnswers(world, ways, servers);
  const measured = ways.map(({ name }) => ({ name, rounds: [] as Measured[] }));
  // Round 0 warms up: compilers, pools, and for skewed users Tandem's memory. The order is reversed each time, so that no
  // server always follows the same one.
  for (let round = 0; round <= rounds; round++) {
    const order = ways.map((way, i) => ({ way, to: measured[i] }));
    for (const { way, to } of round % 2 ? order.reverse() : order) {
      const lasting = round === 0 ? warmUp * seconds : seconds;
      const one = await measureWay(world, comparison, way, serverOf(servers, way), lasting);
      if (round > 0) to?.rounds.push(one);
      say(`${title}, round ${round}: ${way.name.padEnd(52)} ${describe(one)}`);
    }
  }
  return { title, connections, ways: measured };
}

async function measureWay(
  { servers, users }: World,
  { connections, exponent }: Comparison,
  { name, request }: Way,
  { url, pid }: RunningServer,
  seconds: number,
): Promise<Measured> {
  const pick = createUserPicker(users.length, exponent);
  const stores = [servers.pids.postgres, servers.pids.redis];
  let asked = 0;
  const [before, storesBefore] = [cpuSecondsOf([pid]), cpuSecondsOf(stores)];
  const next = () => {
    asked++;
    return request(users[pick()] as User);
  };
  const { failed, ...result } = await load({ url, pid, connections, seconds, next });
  const [cpu, ofStores] = [cpuSecondsOf([pid]) - before, cpuSecondsOf(stores) - storesBefore];
  if (failed > asked * MOST_FAILED) throw new Error(`${name}: ${failed} of ${asked} answers were not 200`);
  return {
    ...{ requestsPerSecond: result.requestsPerSecond, p50Ms: result.p50Ms, p99Ms: result.p99Ms },
    ...{ cpuMicros: (cpu * 1e6) / asked, storeMicros: (ofStores * 1e6) / asked },
  };
}

/** Checks that all servers give the same score for the same user, so that they do the same work. */
async function checkAnswers({ users }: World, ways: Comparison['ways'], servers: Servers): Promise<void> {
  const step = Math.max(1, Math.floor(users.length / CHECKED_USERS));
  const checked = users.filter((_, i) => i % step === 0);
  const [expected, ...found] = await Promise.all(ways.map((way) => scoresOf(way, serverOf(servers, way), checked)));
  for (const [i, scores] of found.entries()) {
    for (const [n, score] of scores.entries()) {
      const wanted = expected?.[n] ?? Number.NaN;
      if (Math.abs(score - wanted) <= 1e-5 * Math.max(1, Math.abs(wanted))) continue;
      throw new Error(`${ways[i + 1]?.name} gives user ${checked[n]?.id} the score ${score}, and Tandem ${wanted}`);
    }
  }
}

async function scoresOf({ name, request, readScore }: Way, { url }: RunningServer, users: readonly User[]) {
  const { hostname, port } = new URL(url);
  const connection = openConnection(hostname, Number(port));
  const scores: number[] = [];
  for (const user of users) {
    const answer = await new Promise<Exchange | null>((done) => connection.ask(request(user), done));
    if (answer?.status !== 200) throw new Error(`${name} answers ${answer?.status}: ${answer?.body.slice(0, 400)}`);
    scores.push(readScore(JSON.parse(answer.body)));
  }
  connection.end();
  return scores;
}

function serverOf(servers: Servers, { server }: Way): RunningServer {
  const found = servers.get(server);
  if (!found) throw new Error(`${server} was not started`);
  return found;
}

/** Returns the proportional set size of a process tree: a page that several processes use is divided among them. */
function memoryMegabytes(root: number): number {
  let kilobytes = 0;
  for (const pid of treeOf([root])) {
    try {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
      kilobytes += Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0);
    } catch {
      // The process has ended.
    }
  }
  return kilobytes / 1024;
}

function describe({ requestsPerSecond, p50Ms, p99Ms, cpuMicros, storeMicros }: Measured): string {
  const cpu = `CPU ${cpuMicros.toFixed(1)} µs, stores ${storeMicros.toFixed(1)} µs`;
  return `${Math.round(requestsPerSecond)}/s   p50 ${p50Ms.toFixed(2)} ms   p99 ${p99Ms.toFixed(2)} ms   ${cpu}`;
}
