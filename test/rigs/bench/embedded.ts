/**
 * Compares reads in an application's own process (libs/extensions/embedded) with the same reads over HTTP. Both are certified, with 64 in
 * progress: uniform users without predictions in memory, and users by Zipf's law with the default memory.
 *
 * Then compares inference of one row at a time with a child that receives the features and only runs the model. Tandem
 * infers in three ways: the features are given without a certificate, given in a certified read, or read from Postgres.
 *
 * Rounds alternate between the targets, and each ratio compares measurements of one round. An embedded read also saves the CPU
 * of the client, which is the load here. So the CPU per read of the reading process is printed beside the rates.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { linearModel } from '@tandem/testing/onnx-models';
import type { EmbeddedResult } from './embedded-program.ts';
import { load } from './load.ts';
import { createUserPicker } from './pick-users.ts';
import { adoptBench, adoptPredictor, FEATURES, FIRST_USER } from './predictors.ts';
import { scoreEveryone } from './reads.ts';
import { figureOf, type Section } from './section.ts';
import { type BenchProcess, type BenchServers, startApi, startListener } from './service.ts';

const CONNECTIONS = 64;
/** The length of the warm-up in rounds. After it, nearly all users of a round are in memory. */
const SKEWED_WARM_UP = 6;
/** The length of the warm-up in rounds. After it, V8 has compiled the code of a single inference. */
const INFERENCE_WARM_UP = 3;

interface Target {
  readonly name: string;
  readonly warmUp: number;
  measure(seconds: number): Promise<EmbeddedResult>;
}

export const embedded: Section = {
  name: 'embedded',
  async measure(servers, { users, rounds, seconds }, say) {
    await adoptBench(servers, users);
    const artifact = linearModel({ weights: FEATURES.map((_, i) => (i - 6) / 10) });
    await adoptPredictor(servers, { name: 'given', artifact, users, isGiven: true });
    await scoreEveryone(servers);
    const started: BenchProcess[] = [];
    try {
      const targets = await startTargets(servers, users, async (starting) => {
        const one = await starting;
        started.push(one);
        return one;
      });
      const results = new Map<string, EmbeddedResult[]>();
      // Round 0 warms up.
      for (let round = 0; round <= rounds; round++) {
        for (const { name, warmUp, measure } of targets) {
          const result = await measure(round === 0 ? seconds * warmUp : seconds);
          if (round > 0) results.set(name, [...(results.get(name) ?? []), result]);
          const { perSecond, p50Ms, cpuMicros } = result;
          say(
            `round ${round}: ${name.padEnd(26)} ${Math.round(perSecond)} /s   p50 ${p50Ms.toFixed(3)} ms   CPU ${cpuMicros.toFixed(1)} µs`,
          );
        }
      }
      return figures(results);
    } finally {
      for (const one of started.reverse()) await one.stop();
    }
  },
};

type Keep = (starting: Promise<BenchProcess>) => Promise<BenchProcess>;

async function startTargets(servers: BenchServers, users: number, keep: Keep): Promise<readonly Target[]> {
  const modelPath = join(servers.folder, 'bare.onnx');
  await writeFile(modelPath, linearModel({ weights: FEATURES.map(() => 0.1) }));
  const program = (exponent: number, megabytes: number) =>
    keep(
      startListener(servers, [
        'test/rigs/bench/embedded-program.ts',
        ...[users, exponent, megabytes].map(String),
        modelPath,
      ]),
    );
  const api = await keep(startApi(servers, { ANSWER_CACHE_MB: '0' }));
  const remembering = await keep(startApi(servers));
  const uniform = await program(0, 0);
  const skewed = await program(1, 64);
  return [
    overHttp('HTTP', api, users, 0),
    inProcess('embedded', uniform, 'reads'),
    overHttp('skewed, HTTP', remembering, users, 1),
    inProcess('skewed, embedded', skewed, 'reads', SKEWED_WARM_UP),
    inProcess('embedded live', uniform, 'live', INFERENCE_WARM_UP),
    inProcess('certified, features given', uniform, 'given', INFERENCE_WARM_UP),
    inProcess('infer, features given', uniform, 'infer', INFERENCE_WARM_UP),
    inProcess('bare session.run', uniform, 'bare', INFERENCE_WARM_UP),
  ];
}

function overHttp(name: string, { url, pid }: BenchProcess, users: number, exponent: number): Target {
  const pick = createUserPicker(users, exponent);
  const tail = ` HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`;
  const next = () => `GET /v1/predictions/bench/${FIRST_USER + pick()}${tail}`;
  return {
    name,
    warmUp: exponent === 0 ? 1 : SKEWED_WARM_UP,
    async measure(seconds) {
      const result = await load({ url, pid, connections: CONNECTIONS, seconds, next });
      if (result.failed > 0) throw new Error(`${name}: ${result.failed} answers were no 200`);
      return { perSecond: result.requestsPerSecond, cpuMicros: result.cpuMicros, p50Ms: result.p50Ms };
    },
  };
}

function inProcess(name: string, { url }: BenchProcess, path: string, warmUp = 1): Target {
  return {
    name,
    warmUp,
    async measure(seconds) {
      const response = await fetch(`${url}/${path}?seconds=${seconds}`);
      if (!response.ok) throw new Error(`${name}: ${await response.text()}`);
      return (await response.json()) as EmbeddedResult;
    },
  };
}

function figures(results: ReadonlyMap<string, readonly EmbeddedResult[]>) {
  const of = (name: string, key: keyof EmbeddedResult) => (results.get(name) ?? []).map((result) => result[key]);
  const pairs = (name: string, to: string, key: keyof EmbeddedResult, combine: (a: number, b: number) => number) => {
    const others = of(to, key);
    return of(name, key).map((value, i) => combine(value, others[i] ?? Number.NaN));
  };
  const ratio = (a: number, b: number) => a / b;
  const overBare = (name: string) => pairs(name, 'bare session.run', 'p50Ms', (a, b) => a - b);
  return [
    figureOf('embedded read / HTTP', 'ratio', pairs('embedded', 'HTTP', 'perSecond', ratio), { least: 3 }),
    figureOf('skewed, embedded read / HTTP', 'ratio', pairs('skewed, embedded', 'skewed, HTTP', 'perSecond', ratio), {
      least: 3,
    }),
    figureOf('HTTP / embedded read, CPU', 'ratio', pairs('HTTP', 'embedded', 'cpuMicros', ratio)),
    figureOf(
      'skewed, HTTP / embedded read, CPU',
      'ratio',
      pairs('skewed, HTTP', 'skewed, embedded', 'cpuMicros', ratio),
    ),
    figureOf('infer, features given − bare session.run', 'ms', overBare('infer, features given'), { most: 0.3 }),
    figureOf('certified, features given − bare session.run', 'ms', overBare('certified, features given')),
    figureOf('embedded live − bare session.run', 'ms', overBare('embedded live')),
    ...[...results.keys()].map((name) => figureOf(`${name}, rate`, 'reads/s', of(name, 'perSecond'))),
    ...[...results.keys()].map((name) => figureOf(`${name}, CPU`, 'µs', of(name, 'cpuMicros'))),
  ];
}
