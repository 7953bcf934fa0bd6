/**
 * Compares raw inference over gRPC with an echo: the same server with the same messages, which infers nothing
 * (echo-server.fixture.ts). Four connections carry 64 concurrent calls. A call has one row or a hundred.
 *
 * Rounds alternate between the targets, and each ratio compares measurements of one round. The CPU per call is
 * compared, of the server with its inference child and of the server alone. The client sends prepared bytes over plain
 * HTTP/2.
 */
import { type ClientHttp2Session, connect } from 'node:http2';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { loadSync, type MethodDefinition } from '@grpc/proto-loader';
import { findFreePort } from '@tandem/local-servers/ports';
import { createLiveWorld } from './live-world.ts';
import { cpuSeconds } from './load.ts';
import { modelOfCost } from './model-cost.ts';
import { FEATURES } from './predictors.ts';
import { cpuSecondsOf } from './process-usage.ts';
import { type BenchOptions, type Figure, figureOf, type Section } from './section.ts';
import { type BenchProcess, type BenchServers, startApi, startListener } from './service.ts';

const CALLS = 64;
const CONNECTIONS = 4;
const ROWS = [1, 100];
/** The target for calls with one row. With a hundred rows, the model costs much more than the echo. */
const GOAL = { most: 1.5 };
/** The users of the predictor. No call reads their features. */
const USERS = 1_000;
const PROTOCOL = join(import.meta.dirname, '../../../libs/extensions/open-inference/grpc/open_inference_grpc.proto');
const PATH = '/inference.GRPCInferenceService/ModelInfer';

interface Target {
  readonly name: string;
  readonly server: BenchProcess;
  readonly port: number;
  readonly body: Buffer;
}

interface GrpcLoad {
  readonly callsPerSecond: number;
  /** µs of CPU per call, of the server and its inference child. */
  readonly allMicros: number;
  /** µs of CPU per call, of the server alone. */
  readonly serverMicros: number;
  readonly p99Ms: number;
}

export const grpc: Section = {
  name: 'grpc',
  async measure(servers, options, say) {
    const { model } = await modelOfCost(0.02, 2);
    const world = await createLiveWorld(servers, USERS, { fast: model }, { baseline: false });
    const processes: BenchProcess[] = [];
    try {
      const targets = await startTargets(world.servers, processes);
      return figures(await measureRounds(targets, options, say));
    } finally {
      for (const one of processes.reverse()) await one.stop();
      await world.close();
    }
  },
};

async function startTargets(servers: BenchServers, processes: BenchProcess[]): Promise<Target[]> {
  const port = await findFreePort();
  const api = await startApi(servers, { GRPC_PORT: String(port), INFERENCE_PROCESSES: '1' });
  processes.push(api);
  const targets: Target[] = [];
  for (const rows of ROWS) {
    const body = requestOf(rows);
    const echo = await startListener(servers, [
      'libs/extensions/open-inference/grpc/echo-server.fixture.ts',
      String(rows),
    ]);
    processes.push(echo);
    targets.push({ name: `echo, ${counted(rows)}`, server: echo, port: Number(new URL(echo.url).port), body });
    targets.push({ name: `infer, ${counted(rows)}`, server: api, port, body });
  }
  return targets;
}

async function measureRounds(
  targets: readonly Target[],
  { rounds, seconds }: BenchOptions,
  say: (line: string) => void,
): Promise<Map<string, GrpcLoad[]>> {
  const results = new Map<string, GrpcLoad[]>();
  // Round 0 warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const target of targets) {
      const result = await loadTarget(target, seconds);
      if (round > 0) results.set(target.name, [...(results.get(target.name) ?? []), result]);
      const { callsPerSecond, allMicros, serverMicros, p99Ms } = result;
      const cpu = `CPU: ${Math.round(allMicros)} µs, of them ${Math.round(serverMicros)} the server`;
      const figures = `${Math.round(callsPerSecond)} calls/s   p99 ${p99Ms.toFixed(1)} ms   ${cpu}`;
      say(`grpc ${round}: ${target.name.padEnd(16)} ${figures}`);
    }
  }
  return results;
}

async function loadTarget({ name, server, port, body }: Target, seconds: number): Promise<GrpcLoad> {
  const sessions = Array.from({ length: CONNECTIONS }, () => connect(`http://127.0.0.1:${port}`));
  const latencies: number[] = [];
  let isOver = false;
  let failure: unknown;
  const begin = performance.now();
  const before = await cpuOf(server);
  const callers = Array.from({ length: CALLS }, async (_, i) => {
    while (!isOver && failure === undefined) {
      const startedAt = performance.now();
      await call(sessions[i % CONNECTIONS] as ClientHttp2Session, body).catch((error: unknown) => {
        failure ??= error;
      });
      latencies.push(performance.now() - startedAt);
    }
  });
  await Promise.race([setTimeout(seconds * 1_000), Promise.all(callers)]);
  isOver = true;
  await Promise.all(callers);
  const after = await cpuOf(server);
  const elapsed = (performance.now() - begin) / 1_000;
  for (const session of sessions) session.close();
  if (failure !== undefined) throw new Error(`${name}: a call failed: ${failure}`);
  latencies.sort((a, b) => a - b);
  const p99Ms = latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN;
  const micros = (seconds: number) => (seconds * 1e6) / latencies.length;
  return {
    callsPerSecond: latencies.length / elapsed,
    allMicros: micros(after.all - before.all),
    serverMicros: micros(after.server - before.server),
    p99Ms,
  };
}

async function cpuOf({ pid }: BenchProcess): Promise<{ readonly all: number; readonly server: number }> {
  return { all: cpuSecondsOf([pid]), server: await cpuSeconds(pid) };
}

/** Sends one call; rejects if its status is not 0. */
function call(session: ClientHttp2Session, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ...{ ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' },
      'grpc-timeout': '20S',
    });
    let status: unknown;
    let text: unknown;
    const note = (headers: Readonly<Record<string, unknown>>) => {
      status = headers['grpc-status'] ?? status;
      text = headers['grpc-message'] ?? text;
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('error', reject);
    stream.on('close', () => (status === '0' ? resolve() : reject(new Error(`status ${status}: ${text}`))));
    stream.resume();
    stream.end(body);
  });
}

/** Encodes a request with this number of rows for the connection: no compression, the length, the message. */
function requestOf(rows: number): Buffer {
  const service = loadSync(PROTOCOL, { keepCase: true })['inference.GRPCInferenceService'];
  const { ModelInfer } = service as unknown as Record<string, MethodDefinition<object, object>>;
  const values = Float32Array.from({ length: rows * FEATURES.length }, (_, i) => (i % 100) / 100);
  const message = (ModelInfer as MethodDefinition<object, object>).requestSerialize({
    model_name: 'fast',
    inputs: [{ name: 'features', datatype: 'FP32', shape: [rows, FEATURES.length] }],
    outputs: [{ name: 'score' }],
    raw_input_contents: [Buffer.from(values.buffer)],
  });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function figures(results: ReadonlyMap<string, readonly GrpcLoad[]>): Figure[] {
  const of = (name: string, value: (result: GrpcLoad) => number) => (results.get(name) ?? []).map(value);
  const cpu = ({ allMicros }: GrpcLoad) => allMicros;
  return ROWS.flatMap((rows) => {
    const [infer, echo] = [`infer, ${counted(rows)}`, `echo, ${counted(rows)}`];
    const below = of(echo, cpu);
    const ratios = of(infer, cpu).map((above, i) => above / (below[i] ?? Number.NaN));
    return [
      figureOf(`gRPC infer / echo, ${counted(rows)}, CPU`, 'ratio', ratios, rows === 1 ? GOAL : undefined),
      ...[infer, echo].flatMap((name) => [
        figureOf(`gRPC ${name}, CPU`, 'µs', of(name, cpu)),
        figureOf(
          `gRPC ${name}, CPU of the server alone`,
          'µs',
          of(name, ({ serverMicros }) => serverMicros),
        ),
        figureOf(
          `gRPC ${name}, p99`,
          'ms',
          of(name, (result) => result.p99Ms),
        ),
      ]),
    ];
  });
}

function counted(rows: number): string {
  return rows === 1 ? '1 row' : `${rows} rows`;
}
