/** Fixture for the tests of shadows: starts a shadow of the model that the test API serves, and reads its report. */
import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { ShadowReport } from '@tandem/client/wire';
import { type ModelDefinition, modelVersionId } from '@tandem/freshness/predictor';
import { repurchase, type TestApi } from '../../../../apps/api/api.fixture.ts';
import { createRolloutStore } from '../statements/rollouts.ts';

export interface ShadowOptions {
  /** The candidate's file; default: the served file. */
  readonly model?: Buffer;
  /** The candidate's feature query; default: a query of the same features. */
  readonly sql?: string;
  readonly share?: number;
  readonly maxPerSecond?: number;
}

/** Starts a shadow, which applies to every read that begins after this resolves. Returns the id of the rollout. */
export async function startShadow({ pool }: TestApi, options: ShadowOptions = {}): Promise<string> {
  const { model, share = 1, maxPerSecond = 100_000 } = options;
  const { artifact, definition: served } = repurchase();
  const bytes = model ?? Buffer.from(artifact);
  const definition: ModelDefinition = {
    ...served,
    artifactHash: createHash('sha256').update(bytes).digest('hex'),
    query: { ...served.query, sql: options.sql ?? `${served.query.sql} -- ${randomUUID()}` },
  };
  const id = modelVersionId(definition);
  await pool.query('insert into tandem.artifacts (hash, bytes, size) values ($1, $2, $3) on conflict do nothing', [
    definition.artifactHash,
    bytes,
    bytes.length,
  ]);
  const { rows } = await pool.query(
    `insert into tandem.model_versions (id, predictor, number, artifact_hash, definition)
     select $1, 'repurchase', max(number) + 1, $2, $3 from tandem.model_versions returning number`,
    [id, definition.artifactHash, JSON.stringify(definition)],
  );
  const plan = { kind: 'shadow' as const, version: rows[0]?.number, share, maxPerSecond };
  const { id: rolloutId } = await createRolloutStore(pool).create({ predictor: 'repurchase', plan, actor: 'test' });
  await pool.query(`update tandem.rollouts set state = 'running', step_started_at = clock_timestamp() where id = $1`, [
    rolloutId,
  ]);
  return rolloutId;
}

export async function endShadow({ pool }: TestApi, rolloutId: string): Promise<void> {
  await pool.query(`delete from tandem.arms where rollout_id = $1`, [rolloutId]);
  await pool.query(`update tandem.rollouts set state = 'ended', ended_at = clock_timestamp() where id = $1`, [
    rolloutId,
  ]);
}

/** Sets the threshold of the predictor's decision, and its segments. */
export async function declareDecision({ pool }: TestApi, threshold: number, segments: readonly string[]) {
  const policy = JSON.stringify({ decision: { output: 'score', threshold }, segments });
  await pool.query('update tandem.predictors set policy = policy || $1::jsonb', [policy]);
}

export async function reportOf(api: TestApi, rolloutId: string): Promise<ShadowReport> {
  const response = await api.get(`/v1/rollouts/${rolloutId}/shadow-report`);
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  return (await response.json()) as ShadowReport;
}

/** Returns the inference children of this process with their nice values. */
export function inferenceChildren(): { readonly pid: number; readonly niceness: number }[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && read(pid, 'cmdline').includes('libs/inference/process/worker.ts'))
    .filter((pid) => read(pid, 'status').includes(`\nPPid:\t${process.pid}\n`))
    .map((pid) => ({ pid: Number(pid), niceness: nicenessOf(read(pid, 'stat')) }));
}

/** Returns the nice value, which is the 19th field. The name in parentheses may contain spaces. */
function nicenessOf(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
