/** Resolves a predictor's settings: fills in defaults, and converts to milliseconds and the types of the domain. */

import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import {
  type BatchPolicy,
  type Categories,
  type ExplanationsPolicy,
  type Policy,
  PUBLISH_DEFAULTS,
  type PublishPolicy,
  type RequestColumn,
  type TensorType,
  type WatchPolicy,
} from '@tandem/freshness/predictor';
import { MAX_MODEL_BYTES, SMALLER_MODEL, tooLargeForModel } from '@tandem/prediction/models/model-limits';
import type { Budget } from '@tandem/prediction/runs/budget';
import { parseDuration } from '@tandem/wire/durations';
import type { SettingProblem } from './config-problem.ts';
import type { ParsedPredictor } from './config-schema.ts';
import { resolveCategories, resolveRequest } from './request-settings.ts';

export interface ResolvedInput {
  readonly name: string;
  readonly type: TensorType;
  readonly columns: readonly string[];
}

export interface ResolvedOutput {
  readonly name: string;
  /** The name of the tensor. */
  readonly from: string;
  readonly type: TensorType;
  /** The first value in a row of the tensor; null if it is not set. */
  readonly index: number | null;
  readonly width: number | null;
}

/** A predictor as the config defines it. adoptable.ts adds the facts of the database and the model. */
export interface ResolvedPredictor {
  readonly name: string;
  readonly model: ModelFile;
  readonly features: {
    readonly sql: string;
    readonly asOf: string | null;
    readonly overlayForMs: number | null;
    /** The value for nulls, by column. */
    readonly nulls: Readonly<Record<string, number | string | boolean>>;
    /** The encoding of texts, by column. */
    readonly categories: Readonly<Record<string, Categories>>;
  };
  /** The features that each call sends; null if there are none. */
  readonly request: readonly RequestColumn[] | null;
  /**
   * The columns of each input; null if a single input takes all columns, or each of several inputs the column of its
   * name.
   */
  readonly inputs: readonly ResolvedInput[] | null;
  readonly outputs: readonly ResolvedOutput[];
  readonly rowByRow: boolean;
  readonly policy: Policy;
}

export function resolvePredictor(name: string, parsed: ParsedPredictor, model: ModelFile): ResolvedPredictor {
  const { features, request, inputs, outputs } = parsed;
  return {
    name,
    model,
    features: {
      sql: features.sql.trim(),
      asOf: features.asOf ?? null,
      overlayForMs: milliseconds(features.overlayFor),
      nulls: features.nulls ?? {},
      categories: Object.fromEntries(
        Object.entries(features.categories ?? {}).map(([column, said]) => [column, resolveCategories(said)]),
      ),
    },
    request: request ? resolveRequest(request) : null,
    inputs: inputs ? Object.entries(inputs).map(([tensor, input]) => ({ name: tensor, ...input })) : null,
    outputs: Object.entries(outputs).map(([field, output]) =>
      typeof output === 'string'
        ? { name: field, from: field, type: output, index: null, width: null }
        : {
            name: field,
            from: output.from,
            type: output.type,
            index: output.index ?? null,
            width: output.width ?? null,
          },
    ),
    rowByRow: parsed.rowByRow ?? false,
    policy: resolvePolicy(parsed),
  };
}

function resolvePolicy({
  freshness = {},
  batch = {},
  decision,
  segments,
  publish,
  explanations,
  features: { watch = [] },
}: ParsedPredictor): Policy {
  const planTimeoutMs = milliseconds(batch.planTimeout);
  return {
    freshness: {
      maxAgeMs: milliseconds(freshness.maxAge),
      live: freshness.live ?? true,
      liveTimeoutMs: milliseconds(freshness.liveTimeout) ?? 50,
      onLiveFailure: freshness.onLiveFailure ?? 'stale',
      unverified: freshness.unverified ?? true,
      // The values were checked against the outputs.
      default: (freshness.default as Policy['freshness']['default'] | undefined) ?? null,
      events: freshness.events ?? ['*'],
      // Set only if the config sets it, so that a policy adopted by an earlier release stays the same.
      ...(freshness.refresh === undefined ? {} : { refresh: resolveRefresh(freshness.refresh) }),
    },
    batch: {
      ...resolveSchedule(batch.schedule),
      ...(batch.budget === undefined ? {} : { budget: resolveBudget(batch.budget) }),
      chunkSize: batch.chunkSize ?? 10_000,
      minCoverage: batch.minCoverage ?? 0.9,
      ...(planTimeoutMs === null ? {} : { planTimeoutMs }),
    },
    ...(decision ? { decision } : {}),
    ...(segments ? { segments } : {}),
    ...(publish ? { publish: resolvePublish(publish) } : {}),
    ...(explanations ? { explanations: resolveExplanations(explanations) } : {}),
    ...(watch.length > 0 ? { watch: watch.map(resolveWatch) } : {}),
  };
}

function resolveRefresh(refresh: false | { readonly within: string }): { readonly withinMs: number } | null {
  return refresh ? { withinMs: milliseconds(refresh.within) ?? 0 } : null;
}

type ParsedBatch = NonNullable<ParsedPredictor['batch']>;

/**
 * Resolves both forms of the schedule. `schedule` is always the schedule of all users, since earlier releases know only
 * that schedule.
 */
function resolveSchedule(schedule: ParsedBatch['schedule']): Pick<BatchPolicy, 'schedule' | 'changedSchedule'> {
  if (typeof schedule !== 'object') return { schedule: schedule ?? null };
  return { schedule: schedule.everyone, changedSchedule: schedule.changed };
}

/** Resolves a budget, which sets either share or CPU minutes. */
function resolveBudget({ share, cpuMinutes = 0 }: NonNullable<ParsedBatch['budget']>): Budget {
  return share === undefined ? { cpuMinutes } : { share };
}

type ParsedWatch = NonNullable<ParsedPredictor['features']['watch']>[number];

function resolveWatch({ table, key, columns, maxUsers }: ParsedWatch): WatchPolicy {
  return { table, key: key ?? null, columns: columns ?? null, ...(maxUsers === undefined ? {} : { maxUsers }) };
}

function resolvePublish(publish: NonNullable<ParsedPredictor['publish']>): PublishPolicy {
  return {
    maxPsi: publish.maxPsi ?? null,
    maxFlipRate: publish.maxFlipRate ?? null,
    maxMeanDelta: publish.maxMeanDelta ?? null,
    minCoverage: publish.minCoverage ?? null,
    minUsers: publish.minUsers ?? PUBLISH_DEFAULTS.minUsers,
    reportTimeoutMs: milliseconds(publish.reportTimeout) ?? PUBLISH_DEFAULTS.reportTimeoutMs,
    ...(publish.onTimeout === undefined ? {} : { onTimeout: publish.onTimeout }),
  };
}

const KEEP_EXPLANATIONS_MS = 30 * 86_400_000;

function resolveExplanations({ share, keepFor }: NonNullable<ParsedPredictor['explanations']>): ExplanationsPolicy {
  return { share, keepForMs: milliseconds(keepFor) ?? KEEP_EXPLANATIONS_MS };
}

function milliseconds(duration: string | undefined): number | null {
  return duration === undefined ? null : parseDuration(duration);
}

/** The model file of a config. It is read and hashed once, so that the checked bytes are the adopted bytes. */
export interface ModelFile {
  /** Absolute. */
  readonly path: string;
  readonly bytes: Buffer;
  /** sha256, 64 hex digits: the `artifactHash` of a model version. */
  readonly sha256: string;
}

/** Returns the model of a predictor, or the problem with its file. `model` is relative to the config file. */
export async function readModelFile(
  model: string,
  configFile: string,
  path: string,
): Promise<{ ok: true; model: ModelFile } | { ok: false; problem: SettingProblem }> {
  const file = resolve(dirname(configFile), model);
  const refuse = (problem: string, remedy: string) => ({ ok: false as const, problem: { path, problem, remedy } });
  try {
    const facts = await stat(file);
    if (!facts.isFile()) return refuse(`${file} is not a file`, 'name the ONNX file itself');
    if (facts.size === 0) return refuse(`${file} is empty`, 'export the model again');
    if (facts.size > MAX_MODEL_BYTES) {
      return refuse(`${file} ${tooLargeForModel(facts.size)}`, SMALLER_MODEL);
    }
    const bytes = await readFile(file);
    return { ok: true, model: { path: file, bytes, sha256: createHash('sha256').update(bytes).digest('hex') } };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return refuse(`there is no file ${file}`, 'correct the path; it is relative to the config file');
    }
    return refuse(`${file} cannot be read (${code})`, 'make it readable for the user that runs Tandem');
  }
}
