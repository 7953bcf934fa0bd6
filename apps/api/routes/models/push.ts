/**
 * POST /v1/models/{predictor}/versions: pushes a model version. It is tried on real users before it is stored, and
 * serves traffic only after a rollout starts. The request carries the file or names an uploaded file. It is safe to
 * repeat.
 */
import type { Push } from '@tandem/admission/push-version';
import { jsonResponse, parseBody, refuseContentEncoding, requireMediaType } from '@tandem/endpoints/body';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { digestIn, readFileBody } from '@tandem/endpoints/file-headers';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { TandemError } from '@tandem/freshness/errors';
import { MAX_MODEL_BYTES } from '@tandem/prediction/models/model-limits';
import { FileSchema } from '@tandem/wire/documents';
import { MODEL_DETAIL_EXAMPLE, ModelDetailSchema } from '@tandem/wire/models';
import { PredictorPath } from '@tandem/wire/parameters';
import { noteText, type PushBody, PushQuery, PushSchema } from '@tandem/wire/pushes';
import type { Context } from 'hono';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { otherFile, refuseOverLimit } from '../artifacts/artifact-checks.ts';
import { modelDetail } from './model-view.ts';

type Said = Omit<Push, 'predictor' | 'actor'>;

const FILE = {
  most: MAX_MODEL_BYTES,
  remedy: 'upload it in parts, PUT /v1/artifacts/{sha256}, or export a smaller model',
};
const EXAMPLE = {
  artifact: MODEL_DETAIL_EXAMPLE.artifact,
  features: { sql: 'select customer_id as user_id, recency, orders, returns from customer_features' },
  note: 'with returns',
  metrics: { auc: 0.82 },
};
const BODY = { schema: PushSchema, example: EXAMPLE };

const ANSWER = {
  schema: ModelDetailSchema,
  example: MODEL_DETAIL_EXAMPLE,
  headers: { location: { description: 'The model version', schema: { type: 'string' } } },
} as const;

export function pushModel(dependencies: RouteDependencies) {
  return defineEndpoint({
    operationId: 'pushModel',
    method: 'post',
    path: '/v1/models/{predictor}/versions',
    tag: 'models',
    summary: 'Push a model version',
    description: `Tries the version on real users, as \`tandem check\` does: alone, in a batch, in a live read and in a run. Settings
that are left out are taken from the version that is served now; those of an optimised build, from its parent. A caller with a
key that may push decides which SQL the service runs: one read-only select, with the rights of the login of feature queries.
Pushing the same definition again returns the same model version. One trial runs at a time: 503 \`overloaded\` says when to
retry. With \`application/octet-stream\` the body is the file itself; \`Content-Digest\`, if sent, is compared with its SHA-256.`,
    scope: 'models:write',
    params: PredictorPath,
    query: PushQuery,
    bodies: {
      'application/json': { schema: PushSchema, example: EXAMPLE },
      'application/octet-stream': { schema: FileSchema },
    },
    answer: { description: 'The model version existed already', ...ANSWER },
    otherAnswers: {
      201: {
        description: 'The model version passed its trial and is stored',
        headers: ANSWER.headers,
        content: { 'application/json': { schema: ModelDetailSchema, example: MODEL_DETAIL_EXAMPLE } },
      },
    },
    problems: [
      'unknown_predictor',
      'config_invalid',
      'model_refused',
      'version_unverified',
      'request_timeout',
      'overloaded',
      'unavailable',
    ],
    async handle(context, event, { actor }) {
      const { req } = context;
      refuseContentEncoding(req.header('content-encoding'));
      const type = requireMediaType(req.header('content-type'), ['application/json', 'application/octet-stream']);
      // The predictor is checked before the file is received.
      const { name: predictor } = await requirePredictor(dependencies.registry, req.param('predictor'));
      const said = type === 'application/json' ? await inJson(context) : await withFile(dependencies, context);
      event.add({ predictor, artifact: said.artifact });
      const { version, isNew } = await dependencies.pushVersion({ ...said, predictor, actor });
      event.add({ modelVersion: version.number, isNew });
      const location = `/v1/models/${encodeURIComponent(predictor)}/versions/${version.number}`;
      return jsonResponse(modelDetail(version), isNew ? 201 : 200, { location });
    },
  });
}

async function inJson(context: Context): Promise<Said> {
  const [unused] = Object.keys(context.req.query());
  if (unused !== undefined) {
    throw new TandemError(
      'malformed_request',
      `The query parameter ${unused} is only allowed if the body is the file itself.`,
      {
        field: unused,
        remedy: 'send it in the JSON body',
      },
    );
  }
  return pushOf(await parseBody(context, BODY));
}

/** Converts the body to the use case's input, except its predictor and its actor. */
function pushOf(body: PushBody): Said {
  const { artifact, features, request, inputs, outputs, rowByRow, note, metrics, label, parent, build } = body;
  return {
    artifact,
    settings: { features, request, inputs, outputs, rowByRow },
    note,
    metrics,
    label,
    build: parent === undefined || build === undefined ? undefined : { parent: Number(parent), kind: build },
  };
}

/** Reads a request whose body is the model file. The new version has the settings of the served version. */
async function withFile({ artifacts, uploads, uploadRoom }: RouteDependencies, { req }: Context): Promise<Said> {
  const digest = digestIn(req.header('content-digest'));
  const { note, label } = req.query();
  const text = noteText.optional().safeParse(note);
  if (!text.success) {
    throw new TandemError('malformed_request', `note: ${text.error.issues[0]?.message}.`, {
      field: 'note',
      remedy: 'write a shorter note',
    });
  }
  return uploadRoom.hold(async () => {
    const { bytes, sha256 } = await readFileBody(req.raw, FILE);
    if (digest !== undefined && digest !== sha256) throw otherFile(digest, sha256, 'Content-Digest');
    if ((await artifacts.renew(sha256)) === null) {
      await refuseOverLimit(uploads, bytes.length);
      await artifacts.put(sha256, bytes);
    }
    return { artifact: sha256, settings: {}, note: text.data, label };
  });
}
