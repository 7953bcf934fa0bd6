/** The data that all servers share: users with features, two models, and the predictions that Tandem stored. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '@tandem/client/create-client';
import { modelOfCost } from '../bench/model-cost.ts';
import { scoreEveryone } from '../bench/reads.ts';
import { boostedTrees } from '../bench/run-everyone.ts';
import { adoptPredictor, type BenchServers, FEATURES, startApi } from '../bench/service.ts';

/**
 * The models. `trees`: 200 boosted trees, typical for tabular data. `dense`: three layers that take about 1 ms per row.
 */
export type ModelName = 'trees' | 'dense';

export interface User {
  readonly id: string;
  /** The 12 features as a JSON array. */
  readonly features: string;
  /** The 12 features as float32. */
  readonly featureBytes: Buffer;
}

export interface World {
  readonly servers: BenchServers;
  /** The users in the order of their ids. */
  readonly users: readonly User[];
  /** A folder for files of the peers, removed at the end. */
  readonly folder: string;
  /** A file with lines `<user id> <score>`: Tandem's stored predictions. */
  readonly predictionsFile: string;
  modelFile(model: ModelName): string;
}

interface WorldOptions {
  readonly users: number;
  say(line: string): void;
}

const LIVE_TIMEOUT_MS = 10_000;
const USERS_A_READ = 100;

export async function createWorld({ users, say }: WorldOptions, servers: BenchServers): Promise<World> {
  const { folder } = servers;
  const modelFile = (model: ModelName) => join(folder, `${model}.onnx`);
  const predictionsFile = join(folder, 'predictions.txt');
  const { model: dense, runMs } = await modelOfCost(1, 3);
  say(`dense model: ${runMs.get(1)?.toFixed(2)} ms for a row, ${runMs.get(64)?.toFixed(2)} ms for 64`);
  for (const [name, artifact] of Object.entries({ trees: boostedTrees(), dense })) {
    await writeFile(join(folder, `${name}.onnx`), artifact);
    await adoptPredictor(servers, { name, artifact, users, liveTimeoutMs: LIVE_TIMEOUT_MS });
  }
  say(`scoring ${users} users`);
  await scoreEveryone(servers, 'trees');
  const found = await readUsers(servers);
  await writePredictions(servers, found, predictionsFile);
  return { servers, users: found, folder, predictionsFile, modelFile };
}

/** Reads the users with their features. Both tables hold the same features, which are drawn from one seed. */
async function readUsers({ pool }: BenchServers): Promise<User[]> {
  const { rows } = await pool.query<{ id: string; features: string }>(
    `select user_id::text as id, json_build_array(${FEATURES.join(', ')})::text as features
     from trees_features order by user_id`,
  );
  return rows.map((row) => ({ ...row, featureBytes: Buffer.from(Float32Array.from(JSON.parse(row.features)).buffer) }));
}

async function writePredictions(servers: BenchServers, users: readonly User[], file: string): Promise<void> {
  const api = await startApi(servers);
  try {
    const tandem = createClient({ url: api.url });
    const lines: string[] = [];
    for (let first = 0; first < users.length; first += USERS_A_READ) {
      const ids = users.slice(first, first + USERS_A_READ).map(({ id }) => id);
      for (const { userId, answer, problem } of await tandem.predictMany('trees', ids)) {
        if (!answer) throw new Error(`user ${userId} has no stored prediction: ${problem.title}`);
        lines.push(`${userId} ${answer.prediction?.score}\n`);
      }
    }
    await writeFile(file, lines.join(''));
  } finally {
    await api.stop();
  }
}
