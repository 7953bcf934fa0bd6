/**
 * Many callers send rows over the Open Inference Protocol, by gRPC and HTTP, and one API process splits and merges them. Callers
 * send tensors for two model versions by number and for the stable version, and read users of both arms. Some deadlines pass,
 * some calls are cancelled, some requests are rejected, some users' features fail, and inference processes are killed. The
 * model returns its inputs: the owner, the model version and a token of the row. A caller thus recognises another caller's row.
 */
import { rm } from 'node:fs/promises';
import { status } from '@grpc/grpc-js';
import { cloneDatabase } from '@tandem/testing/databases';
import { type MixedCall, mixCallers, randomOf, type SeenRows } from '@tandem/testing/mix-callers';
import { inject } from 'vitest';
import { endPrograms, killChild, startProgram } from '../../../../test/e2e/program.fixture.ts';
import { makeFolder, ownRedis } from '../../../../test/e2e/servers.fixture.ts';
import { until } from '../../../../test/e2e/until.fixture.ts';
import { type GrpcClient, openGrpcClient } from '../grpc/grpc-client.fixture.ts';
import { JSON_LENGTH_HEADER } from '../messages/http-message.ts';
import { adoptEchoes, ECHO, FAILING, TOKEN_OF_USERS, UNUSABLE, USERS } from './echo-versions.fixture.ts';

const UNKNOWN = 9_999;
/**
 * Maps each problem that only one user can have to that user. Other problems are caused by load, deadlines and kills.
 */
const OWNERS = new Map([
  ['features_failed', FAILING],
  ['features_unusable', UNUSABLE],
  ['unknown_user', UNKNOWN],
]);
const CALLERS = 16;

interface Options {
  readonly rows: number;
  readonly seed: number;
}

/** Runs the callers on a Redis and a database that it creates and removes. */
export async function mixInference(options: Options): ReturnType<typeof mixCallers> {
  const folder = await makeFolder();
  const redis = await ownRedis(folder);
  const database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  try {
    await adoptEchoes(database.url);
    return await mixOn({ DATABASE_URL: database.url, REDIS_URL: redis.url }, options);
  } finally {
    await database.drop();
    await redis.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function mixOn(servers: Readonly<Record<string, string>>, { rows, seed }: Options) {
  const api = startProgram('api', { ...servers, INFERENCE_PROCESSES: '2', PORT: '0', GRPC_PORT: '0' });
  const clients: GrpcClient[] = [];
  try {
    const { url, grpc } = await api.logged('api.started');
    const port = Number(String(grpc).split(':').at(-1));
    await until('the API is ready', async () => (await fetch(`${url}/readyz`)).status === 200);
    clients.push(openGrpcClient(port), openGrpcClient(port));
    const random = randomOf(seed);
    const kill = () => {
      const [pid] = api.children();
      if (pid !== undefined) killChild(pid);
      return pid === undefined ? 0 : 1;
    };
    const callers = { url: String(url), clients, random };
    const call = (nextToken: () => number) => callOnce(callers, nextToken);
    return await mixCallers({ rows, callers: CALLERS, random, kill, call });
  } finally {
    for (const client of clients) client.close();
    await endPrograms([api]);
  }
}

interface Callers {
  readonly url: string;
  readonly clients: readonly GrpcClient[];
  readonly random: (below: number) => number;
}

const KINDS = ['grpc raw', 'grpc typed', 'http binary', 'http json', 'grpc users', 'http users'] as const;
/** The time limits of callers, in milliseconds. */
const PATIENCE = [2, 40, 10_000, 10_000, 10_000, 10_000] as const;

async function callOnce(callers: Callers, nextToken: () => number): Promise<MixedCall> {
  const { random } = callers;
  const kind = KINDS[random(KINDS.length)] as (typeof KINDS)[number];
  const leaving = new AbortController();
  const left = random(5) === 0 ? setTimeout(() => leaving.abort(), random(30)) : undefined;
  const waits = { timeoutMs: PATIENCE[random(PATIENCE.length)] as number, signal: leaving.signal };
  try {
    const seen = kind.endsWith('users')
      ? await callUsers(callers, kind, waits)
      : await callTensor(callers, kind, nextToken, waits);
    return { kind, ...seen };
  } finally {
    clearTimeout(left);
  }
}

interface Waits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Sends rows to the model itself. One request of twenty has a shape that the model does not take. */
async function callTensor(callers: Callers, kind: string, nextToken: () => number, waits: Waits): Promise<SeenRows> {
  const { random } = callers;
  const rows =
    kind === 'http json' || kind === 'grpc typed' ? 1 + random(200) : 1 + random(random(8) === 0 ? 4_000 : 500);
  const version = ['1', '2', ''][random(3)] as string;
  const owner = nextToken();
  const sent = Float64Array.from(
    { length: 3 * rows },
    (_, i) => [owner, Number(version), nextToken()][i % 3] as number,
  );
  const isWrong = random(20) === 0;
  const shape = isWrong ? [3 * rows, 1] : [rows, 3];
  const answer = await answerOf(() => sendTensor(callers, kind, { version, shape, sent }, waits));
  if (!answer.is) return { asked: rows, answered: 0, foreign: answer.unexpected };
  const foreign = foreignRows(sent, answer.is, version);
  if (isWrong) foreign.push('a request of a wrong shape was answered');
  return { asked: rows, answered: rows, foreign };
}

interface Sent {
  readonly version: string;
  readonly shape: readonly number[];
  readonly sent: Float64Array;
}

interface Got {
  readonly version: string;
  readonly values: Float64Array;
}

function foreignRows(sent: Float64Array, { version, values }: Got, asked: string): string[] {
  if (asked !== '' && asked !== version) return [`version ${asked} was requested, but version ${version} answered`];
  if (values.length !== sent.length) return [`${sent.length} values were sent, but ${values.length} were received`];
  const i = values.findIndex((value, at) => value !== sent[at]);
  return i < 0 ? [] : [`value ${i} of owner ${sent[0]} is ${values[i]}, not ${sent[i]}`];
}

function sendTensor(callers: Callers, kind: string, tensor: Sent, waits: Waits): Promise<Got> {
  return kind.startsWith('grpc')
    ? sendOverGrpc(callers, kind, tensor, waits)
    : sendOverHttp(callers, kind, tensor, waits);
}

async function sendOverGrpc({ clients, random }: Callers, kind: string, { version, shape, sent }: Sent, waits: Waits) {
  const isTyped = kind === 'grpc typed';
  const input = { name: 'features', datatype: 'FP64', shape };
  const request = {
    ...{ model_name: ECHO, model_version: version },
    inputs: [isTyped ? { ...input, contents: { fp64_contents: [...sent] } } : input],
    raw_input_contents: isTyped ? [] : [bytesOf(sent)],
  };
  const client = clients[random(clients.length)] as GrpcClient;
  const answer = await client.call('ModelInfer', request, {}, waits.timeoutMs, waits.signal);
  const [output] = answer.outputs;
  const values = isTyped ? Float64Array.from(output.contents.fp64_contents) : floatsIn(answer.raw_output_contents[0]);
  return { version: String(answer.model_version), values };
}

async function sendOverHttp(
  { url }: Callers,
  kind: string,
  { version, shape, sent }: Sent,
  waits: Waits,
): Promise<Got> {
  const isBinary = kind === 'http binary';
  const input = { name: 'features', datatype: 'FP64', shape };
  const bytes = bytesOf(sent);
  const json = JSON.stringify({
    parameters: { timeout: waits.timeoutMs * 1_000, binary_data_output: isBinary },
    inputs: [isBinary ? { ...input, parameters: { binary_data_size: bytes.length } } : { ...input, data: [...sent] }],
  });
  const named = version === '' ? '' : `/versions/${version}`;
  const response = await post(`${url}/v2/models/${ECHO}${named}/infer`, waits.signal, {
    body: isBinary ? Buffer.concat([Buffer.from(json), bytes]) : json,
    headers: isBinary ? { [JSON_LENGTH_HEADER]: String(Buffer.byteLength(json)) } : {},
  });
  const body = Buffer.from(await response.arrayBuffer());
  const end = Number(response.headers.get(JSON_LENGTH_HEADER) ?? body.length);
  const answer = JSON.parse(body.toString('utf8', 0, end));
  const values = isBinary ? floatsIn(body.subarray(end)) : Float64Array.from(answer.outputs[0].data);
  return { version: answer.model_version, values };
}

/** Reads users of both arms: a prediction must fit the user and the version that answered. */
async function callUsers(callers: Callers, kind: string, waits: Waits): Promise<SeenRows> {
  const { random, url, clients } = callers;
  const userIds = Array.from({ length: 1 + random(60) }, () =>
    String(random(60) === 0 ? [FAILING, UNUSABLE, UNKNOWN][random(3)] : 18 + random(USERS - 18)),
  );
  const headers: Record<string, string> = random(2) === 0 ? { 'cache-control': 'no-cache' } : {};
  const wanted = ['echo', 'tandem.model_version', 'tandem.error'].map((name) => ({ name }));
  const input = { name: 'user_id', datatype: 'BYTES', shape: [userIds.length] };
  const answer = await answerOf(async (): Promise<UserRows> => {
    if (kind === 'grpc users') {
      const contents = { bytes_contents: userIds.map((userId) => Buffer.from(userId)) };
      const request = { model_name: `${ECHO}.hybrid`, inputs: [{ ...input, contents }], outputs: wanted };
      const client = clients[random(clients.length)] as GrpcClient;
      const { outputs } = await client.call('ModelInfer', request, headers, waits.timeoutMs, waits.signal);
      const textsOf = (i: number): string[] => outputs[i].contents.bytes_contents.map(String);
      return { echo: outputs[0].contents.fp64_contents, versions: textsOf(1), errors: textsOf(2) };
    }
    const body = JSON.stringify({ inputs: [{ ...input, data: userIds }], outputs: wanted });
    const response = await post(`${url}/v2/models/${ECHO}.hybrid/infer`, waits.signal, { body, headers });
    const { outputs } = (await response.json()) as { outputs: { data: never[] }[] };
    const [echo = [], versions = [], errors = []] = outputs.map(({ data }) => data);
    return { echo, versions, errors };
  });
  if (!answer.is) return { asked: userIds.length, answered: 0, foreign: answer.unexpected };
  const { echo, versions, errors } = answer.is;
  const foreign = userIds.flatMap((userId, i) => {
    const isBad = [FAILING, UNUSABLE, UNKNOWN].includes(Number(userId));
    const error = errors[i]?.split(':').at(-1) ?? '';
    if (error !== '') {
      const owner = OWNERS.get(error);
      return owner === undefined || owner === Number(userId) ? [] : [`user ${userId} got ${error} of user ${owner}`];
    }
    const shown = `${echo.slice(3 * i, 3 * i + 3)}`;
    const expected = `${[userId, versions[i], TOKEN_OF_USERS]}`;
    return isBad || shown !== expected ? [`user ${userId}: ${expected} got ${shown}`] : [];
  });
  return { asked: userIds.length, answered: errors.filter((error) => error === '').length, foreign };
}

interface UserRows {
  readonly echo: readonly number[];
  readonly versions: readonly string[];
  /** The type of each user's problem, or the empty string. */
  readonly errors: readonly string[];
}

/** Statuses of calls that were cancelled, timed out, were rejected, or used a process that was killed. */
const EXPECTED: ReadonlySet<unknown> = new Set([
  ...[
    status.CANCELLED,
    status.DEADLINE_EXCEEDED,
    status.UNAVAILABLE,
    status.INVALID_ARGUMENT,
    status.FAILED_PRECONDITION,
  ],
  ...[400, 422, 503],
]);

/** Returns the answer, or the problem of a rejection. */
async function answerOf<T>(ask: () => Promise<T>): Promise<{ is?: T; unexpected: readonly string[] }> {
  try {
    return { is: await ask(), unexpected: [] };
  } catch (error) {
    const { code, name } = error as { readonly code?: unknown; readonly name?: string };
    return {
      unexpected:
        name === 'AbortError' || EXPECTED.has(code) ? [] : [`a call failed: ${error}, ${(error as Error).cause}`],
    };
  }
}

/** Sends a request. Rejects with the status as `code` if it is not 200. */
async function post(url: string, signal: AbortSignal, { body, headers }: Pick<RequestInit, 'body' | 'headers'>) {
  const sent = { 'content-type': 'application/octet-stream', ...headers };
  const response = await fetch(url, { method: 'POST', body: body ?? null, signal, headers: sent });
  if (response.status === 200) return response;
  throw Object.assign(new Error(`${response.status}: ${await response.text()}`), { code: response.status });
}

function bytesOf(values: Float64Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}

function floatsIn(bytes: Buffer): Float64Array {
  return new Float64Array(new Uint8Array(bytes).buffer);
}
