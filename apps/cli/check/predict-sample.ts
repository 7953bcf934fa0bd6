/** One user's prediction, made as a live read makes it, to be looked at: inputs, result, and how long it took. */
import { createInferencePool } from '@tandem/inference/pool';
import { findProvenance, type UserProvenance } from '@tandem/offline-store/provenance';
import { decodeOutputs, encodeOutputs, outputFault } from '@tandem/prediction/outputs';
import { type ModelVersion, modelVersionId, type Prediction } from '@tandem/prediction/predictor';
import type { CheckedPredictor, Pool } from '../adoption/read-config.ts';
import { explainFailure } from '../failure.ts';
import { type Finding, failed, warning } from '../output/finding.ts';

export interface Sample {
  readonly predictor: string;
  readonly userId: string;
  readonly features: readonly { readonly name: string; readonly value: number | string | null }[];
  readonly prediction: Prediction;
  readonly featuresMs: number;
  readonly inferenceMs: number;
}

const DEADLINE_MS = 10_000;

/**
 * The sample, or the finding that says why there is none.
 * @param memoryLimitMb of the process that infers it
 */
export async function predictSample(
  pool: Pool,
  predictor: CheckedPredictor,
  memoryLimitMb: number,
): Promise<Sample | { finding: Finding }> {
  const subject = `${predictor.name} sample`;
  const { definition, users } = predictor;
  const version: ModelVersion = { ...definition, id: modelVersionId(definition), number: 0 };
  const [userId] = users?.scorable?.userIds ?? [];
  if (userId === undefined) return { finding: whyNobody(subject, predictor) };
  try {
    const begin = performance.now();
    const user = await findProvenance(pool, version, userId, DEADLINE_MS);
    const featuresMs = performance.now() - begin;
    if (user.fault !== null) {
      return {
        finding: failed(subject, `user ${userId} cannot be scored: ${user.fault}`, 'mend the query for such rows'),
      };
    }
    return {
      predictor: predictor.name,
      userId,
      features: user.features,
      featuresMs,
      ...(await infer(predictor, version, user, memoryLimitMb)),
    };
  } catch (error) {
    const { message, remedy } = explainFailure(error);
    return { finding: failed(subject, message, remedy ?? 'mend the query or the model') };
  }
}

function whyNobody(subject: string, { users }: CheckedPredictor): Finding {
  if (users === undefined) {
    const remedy =
      'a live read would not get them in time either: make the query quick for one user, or set live: false';
    return warning(subject, 'the features of 256 users were not read in time', remedy);
  }
  if (users.read === 0) return warning(subject, 'the feature query gives no user', 'see that its tables hold rows');
  const { userId = '', why = '' } = users.fault ?? {};
  const text = `none of ${users.read} users looked at can be scored; ${userId}: ${why}`;
  return failed(subject, text, 'say in features.nulls what a null counts as, or mend the query');
}

async function infer(
  predictor: CheckedPredictor,
  version: ModelVersion,
  { batch }: UserProvenance,
  memoryLimitMb: number,
) {
  const scorer = createInferencePool({
    loadArtifact: async () => predictor.artifact,
    processes: 1,
    memoryLimitMb,
    log: () => undefined,
  });
  try {
    await scorer.warmUp(version);
    const request = { version, batch, rows: [0], timeoutMs: DEADLINE_MS, priority: 'live' } as const;
    // The first run of a session allocates; the second is what a read waits for.
    await scorer.score(request);
    const begin = performance.now();
    const { tensors } = await scorer.score(request);
    const inferenceMs = performance.now() - begin;
    const fault = outputFault(version.outputs, tensors, 0);
    if (fault !== null) throw new Error(`the model's answer is none: ${fault}`);
    return { prediction: decodeOutputs(version.outputs, encodeOutputs(version.outputs, tensors, 0)), inferenceMs };
  } finally {
    await scorer.close();
  }
}
