/**
 * Sends rows of many callers through the split and merge of live inference, on real stores and a real model:
 * - readers of shared flights, calls with request features, calls of hundreds of rows for one user, chunks of runs, two
 *   model versions
 * - readers that leave early, users whose query fails or whose features are unusable, killed inference processes
 *
 * The model returns its inputs: the user, the model version and a token of the call. So each row shows which caller it
 * belongs to.
 */
import { createHash, randomUUID } from 'node:crypto';
import { isTandemError } from '@tandem/freshness/errors';
import type { LiveOutcome, LivePredictor, LiveReader, LiveRequest } from '@tandem/freshness/live-predictor';
import { decodeOutputs } from '@tandem/freshness/outputs';
import type { ModelDefinition, ModelVersion } from '@tandem/freshness/predictor';
import { checkRequest } from '@tandem/freshness/request-features';
import { createInferencePool } from '@tandem/inference/live/pool';
import { mixCallers, randomOf, type SeenRows } from '@tandem/testing/mix-callers';
import { echoModel } from '@tandem/testing/onnx-models';
import { createPredictionWorld, PREDICTOR } from '../prediction-world.fixture.ts';
import { ScoringCrash } from '../scoring/scoring.ts';
import { createLivePredictor } from './live-prediction.ts';

const USERS = 300;
/** The feature query fails for the first user, and returns no owner for the second. */
const [FAILING, UNUSABLE] = ['13', '17'];
const DEFAULT_TOKEN = 7;
const CALLERS = 24;
const MODEL = echoModel('float64', 3);

export async function mixRows({
  rows,
  seed,
}: {
  readonly rows: number;
  readonly seed: number;
}): ReturnType<typeof mixCallers> {
  const world = await createPredictionWorld({ users: USERS });
  const inference = createInferencePool({ loadArtifact: async () => MODEL, log: () => {}, processes: 2 });
  try {
    const certificate = await world.authority.certify([]);
    const assignment = certificate.assignments(PREDICTOR)?.stable;
    if (!assignment) throw new Error('nothing is assigned');
    const { features, overlay } = world;
    const stores = { keepLater: () => {}, keepNow: world.overlayRows.put };
    const live = createLivePredictor({ features, scorer: inference, overlay, ...stores });
    const place = { assignment, history: certificate.history, enabled: true };
    return await callAll({ live, place, inference, versions: [versionOf(1), versionOf(2)] }, rows, randomOf(seed));
  } finally {
    await inference.close();
    await world.close();
  }
}

function versionOf(number: number): ModelVersion {
  const definition: ModelDefinition = {
    predictor: PREDICTOR,
    artifactHash: createHash('sha256').update(MODEL).digest('hex'),
    keyType: 'int8',
    query: {
      sql: `select user_id, case user_id when ${FAILING} then 1 / (user_id - ${FAILING}) when ${UNUSABLE} then null
        else user_id end::float8 as owner, ${number}::float8 as model from counts`,
      columns: [
        { name: 'owner', kind: 'number' },
        { name: 'model', kind: 'number' },
      ],
      ...{ asOf: null, overlayForMs: null },
    },
    request: [{ name: 'token', kind: 'integer', default: DEFAULT_TOKEN }],
    inputs: [{ name: 'features', type: 'float64', columns: ['owner', 'model', 'token'] }],
    outputs: [{ name: 'echo', output: 'score', type: 'float64', width: 3, index: 0 }],
  };
  return { ...definition, id: randomUUID().replaceAll('-', ''), number };
}

interface World {
  readonly live: LivePredictor;
  readonly inference: ReturnType<typeof createInferencePool>;
  readonly place: Pick<LiveRequest, 'assignment' | 'history' | 'enabled'>;
  readonly versions: readonly [ModelVersion, ModelVersion];
}

function callAll(world: World, rows: number, random: (below: number) => number): ReturnType<typeof mixCallers> {
  const kill = () => killChild(world.inference);
  return mixCallers({
    ...{ rows, callers: CALLERS, random, kill },
    async call(nextToken) {
      const version = world.versions[random(2)] as ModelVersion;
      const timeoutMs = [2, 40, 10_000, 10_000, 10_000][random(5)] as number;
      const kind = ['shared', 'sent', 'sent', 'many', 'chunk'][random(5)] as string;
      const seen =
        kind === 'chunk'
          ? await callChunk(world, version, random, nextToken)
          : await callLive(world, version, timeoutMs, readersOf(kind, version, random, nextToken));
      return { kind, ...seen };
    },
  });
}

function readersOf(
  kind: string,
  version: ModelVersion,
  random: (below: number) => number,
  token: () => number,
): LiveReader[] {
  const userId = () =>
    random(60) === 0 ? ([FAILING, UNUSABLE, '9999'][random(3)] as string) : `${18 + random(USERS - 18)}`;
  const row = () => checkRequest(version, { token: token() }, () => false, 'users[0]');
  const rowsOf = (count: number) => Array.from({ length: count }, row);
  if (kind === 'many') return [{ userId: userId(), minVersion: 0, fresh: true, rows: rowsOf(100 + random(400)) }];
  const userIds = new Set(Array.from({ length: 1 + random(60) }, userId));
  return [...userIds].map((id) =>
    kind === 'sent'
      ? { userId: id, minVersion: 0, fresh: true, rows: rowsOf(1 + random(3)) }
      : { userId: id, minVersion: 0, fresh: random(2) === 0 },
  );
}

async function callLive(
  { live, place }: World,
  version: ModelVersion,
  timeoutMs: number,
  readers: LiveReader[],
): Promise<SeenRows> {
  const outcomes = await live.predict({ ...place, version, timeoutMs, readers });
  let [asked, answered] = [0, 0];
  const foreign: string[] = [];
  const check = (outcome: LiveOutcome | undefined, userId: string, token: number) => {
    asked++;
    if (outcome?.kind !== 'predicted') return;
    answered++;
    const echo = decodeOutputs(version.outputs, outcome.outputs).echo as readonly number[];
    const expected = [Number(userId), version.number, token];
    if (`${echo}` !== `${expected}` || userId === FAILING || userId === UNUSABLE)
      foreign.push(`${expected} got ${echo}`);
    if (outcome.kept && token !== DEFAULT_TOKEN) foreign.push(`${expected} was stored`);
  };
  for (const { userId, rows } of readers) {
    const outcome = outcomes.get(userId);
    if (!rows) check(outcome, userId, DEFAULT_TOKEN);
    else if (outcome?.kind === 'predicted')
      foreign.push(`user ${userId} with request features got a shared prediction`);
    else if (outcome?.kind === 'rows' && outcome.rows.length !== rows.length) foreign.push(`${userId} got other rows`);
    else {
      for (const [i, { sent }] of rows.entries()) {
        check(outcome?.kind === 'rows' ? outcome.rows[i] : outcome, userId, Number(sent.token));
      }
    }
  }
  return { asked, answered, foreign };
}

/** Scores rows like a chunk of a run: in slices that live rows overtake. */
async function callChunk(
  { inference, place }: World,
  version: ModelVersion,
  random: (below: number) => number,
  token: () => number,
): Promise<SeenRows> {
  const users = 1 + random(2_000);
  const owners = Array.from({ length: users }, () => random(USERS));
  const tokens = owners.map(token);
  const batch = {
    ...{ history: place.history, readAt: 0, faults: new Map(), unusable: new Map() },
    userIds: owners.map(String),
    contextVersions: owners.map(() => 0),
    columns: [...version.query.columns, ...(version.request ?? [])],
    values: [Float64Array.from(owners), owners.map(() => version.number), Float64Array.from(tokens)],
  };
  const rows = owners.map((_, row) => users - 1 - row);
  try {
    const { tensors } = await inference.score({ version, batch, rows, timeoutMs: 20_000, priority: 'batch' });
    const { data = [] } = tensors.score ?? {};
    const foreign = rows.flatMap((row, i) => {
      const echo = [data[3 * i], data[3 * i + 1], data[3 * i + 2]];
      const expected = [owners[row], version.number, tokens[row]];
      return `${echo}` === `${expected}` ? [] : [`row ${row} of a chunk: ${expected} got ${echo}`];
    });
    return { asked: users, answered: users, foreign };
  } catch (error) {
    // The inference process was killed, or there was no room.
    if (error instanceof ScoringCrash || isTandemError(error)) return { asked: users, answered: 0, foreign: [] };
    throw error;
  }
}

function killChild(inference: ReturnType<typeof createInferencePool>): number {
  const [pid] = inference.stats().pids;
  try {
    if (pid === undefined) return 0;
    process.kill(pid, 'SIGKILL');
    return 1;
  } catch {
    // The process has already ended.
    return 0;
  }
}
