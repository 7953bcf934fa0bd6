/**
 * Measures cached reads of one API process and of two on one port, in alternating rounds. Load, Postgres and Redis
 * share the machine, so the rate cannot double on fewer than four cores. On such a machine the target applies to a
 * computed rate: the rate of two whole cores by the CPU of a read. This CPU includes all API processes and the primary.
 */
import { availableParallelism } from 'node:os';
import { type LoadResult, load } from './load.ts';
import { createUserPicker } from './pick-users.ts';
import { adoptBench, FIRST_USER } from './predictors.ts';
import { cpuSecondsOf } from './process-usage.ts';
import { scoreEveryone } from './reads.ts';
import { type BenchOptions, type Figure, figureOf, type Section } from './section.ts';
import { type BenchProcess, type BenchServers, startApi } from './service.ts';

/**
 * Connections for each API process. With a fixed number, as many concurrent reads share a statement in each process.
 */
const CONNECTIONS = 64;
/** The length of the warm-up in rounds, in which V8 compiles the code of each process. */
const WARM_UP = 3;
/** One core for each of two API processes, one for the load and one for the stores. */
const ENOUGH_CORES = 4;
const GOAL = { least: 1.7 };

interface Round extends Pick<LoadResult, 'requestsPerSecond' | 'p99Ms'> {
  /** µs of CPU per read, of all processes of the API. */
  readonly apiMicros: number;
  /** µs of CPU per read, of Postgres. */
  readonly postgresMicros: number;
}

export const processes: Section = {
  name: 'processes',
  async measure(servers, options, say) {
    await adoptBench(servers, options.users);
    await scoreEveryone(servers);
    const opened: BenchProcess[] = [];
    try {
      for (const count of COUNTS) opened.push(await startApi(servers, { ...SIZES, API_PROCESSES: `${count}` }));
      const [one, two] = opened as [BenchProcess, BenchProcess];
      const results: [Round, Round][] = [];
      for (const [i, api] of [one, two].entries()) {
        const count = COUNTS[i] ?? 1;
        await read(servers, api, count, { ...options, seconds: WARM_UP * count * options.seconds });
      }
      for (let round = 0; round < options.rounds; round++) {
        const both: [Round, Round] = [await read(servers, one, 1, options), await read(servers, two, 2, options)];
        results.push(both);
        say(
          both
            .map((found) => `${Math.round(found.requestsPerSecond)} reads/s at ${found.apiMicros.toFixed(1)} µs`)
            .join(', two: '),
        );
      }
      return figures(results);
    } finally {
      for (const api of opened.reverse()) await api.stop();
    }
  },
};

const COUNTS = [1, 2];
const SIZES = { ANSWER_CACHE_MB: '0', INFERENCE_PROCESSES: '1' };

async function read(
  { pids }: BenchServers,
  { url, pid }: BenchProcess,
  count: number,
  { users, seconds }: BenchOptions,
): Promise<Round> {
  const pick = createUserPicker(users, 0);
  const tail = ` HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`;
  const next = () => `GET /v1/predictions/bench/${FIRST_USER + pick()}${tail}`;
  const before = { api: cpuSecondsOf([pid]), postgres: cpuSecondsOf([pids.postgres]) };
  const { requestsPerSecond, p99Ms, failed } = await load({
    url,
    pid,
    connections: CONNECTIONS * count,
    seconds,
    next,
  });
  if (failed > 0) throw new Error(`${failed} answers were no 200`);
  const reads = requestsPerSecond * seconds;
  return {
    ...{ requestsPerSecond, p99Ms },
    apiMicros: ((cpuSecondsOf([pid]) - before.api) * 1e6) / reads,
    postgresMicros: ((cpuSecondsOf([pids.postgres]) - before.postgres) * 1e6) / reads,
  };
}

function figures(rounds: readonly [Round, Round][]): readonly Figure[] {
  const of = (name: keyof Round, which: 0 | 1) => rounds.map((round) => round[which][name]);
  const gain = rounds.map(([one, two]) => two.requestsPerSecond / one.requestsPerSecond);
  const byCpu = rounds.map(([one, two]) => (2 * one.apiMicros) / two.apiMicros);
  const hasCores = availableParallelism() >= ENOUGH_CORES;
  return [
    figureOf('two API processes / one', 'ratio', gain, hasCores ? GOAL : undefined),
    figureOf('… by CPU a read, each on a core of its own', 'ratio', byCpu, GOAL),
    figureOf('one process', 'reads/s', of('requestsPerSecond', 0)),
    figureOf('two processes', 'reads/s', of('requestsPerSecond', 1)),
    figureOf('one process, CPU of the API a read', 'µs', of('apiMicros', 0)),
    figureOf('two processes, CPU of the API a read', 'µs', of('apiMicros', 1)),
    figureOf('one process, CPU of Postgres a read', 'µs', of('postgresMicros', 0)),
    figureOf('two processes, CPU of Postgres a read', 'µs', of('postgresMicros', 1)),
    figureOf('one process, p99', 'ms', of('p99Ms', 0)),
    figureOf('two processes, p99', 'ms', of('p99Ms', 1)),
  ];
}
