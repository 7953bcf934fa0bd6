/** Defines for each server the request for a user's score, and the place of the score in the answer. */
import type { EnvironmentName } from './virtual-environments.ts';
import type { ModelName, User } from './world.ts';

export interface Way {
  /** The name in the report. */
  readonly name: string;
  readonly server: EnvironmentName | 'tandem';
  /** Returns a whole HTTP request. */
  request(user: User): string | Buffer;
  /** Returns the score. Throws if the answer is not of the measured kind. */
  readScore(answer: unknown): number;
}

interface TandemAnswer {
  readonly prediction: { readonly score: number };
  readonly source: string;
  readonly reason: string;
}

function get(path: string, headers = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers}\r\n`;
}

function post(path: string, body: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

export const tandemStored: Way = {
  name: 'Tandem',
  server: 'tandem',
  request: ({ id }) => get(`/v1/predictions/trees/${id}`),
  readScore: (answer) => scoreOf(answer as TandemAnswer, 'batch'),
};

export const fastapiStored: Way = {
  name: 'FastAPI + Redis',
  server: 'fastapi',
  request: ({ id }) => get(`/stored/${id}`),
  readScore: (answer) => (answer as { score: number }).score,
};

export const feastStored: Way = {
  name: 'Feast, online store in Redis',
  server: 'feast',
  request: ({ id }) =>
    post('/get-online-features', `{"features":["predictions:score"],"entities":{"user_id":["${id}"]}}`),
  readScore(answer) {
    const { metadata, results } = answer as { metadata: { feature_names: string[] }; results: { values: number[] }[] };
    return results[metadata.feature_names.indexOf('score')]?.values[0] ?? Number.NaN;
  },
};

/** Returns the ways of live inference that read the user's features from Postgres for each request. */
export function readingWays(model: ModelName): [Way, ...Way[]] {
  return [
    {
      name: 'Tandem',
      server: 'tandem',
      request: ({ id }) => get(`/v1/predictions/${model}/${id}`, 'Cache-Control: no-cache\r\n'),
      readScore: (answer) => scoreOf(answer as TandemAnswer, 'live'),
    },
    {
      name: 'FastAPI + ONNX Runtime, features read from Postgres',
      server: 'fastapi',
      request: ({ id }) => get(`/live/${id}`),
      readScore: (answer) => (answer as { score: number }).score,
    },
  ];
}

/** Returns the ways of live inference on features in the request. Tandem's are binary data of the Open Inference Protocol. */
export function givenWays(model: ModelName): [Way, ...Way[]] {
  return [
    {
      name: 'Tandem, features given',
      server: 'tandem',
      request: ({ featureBytes }) => Buffer.concat([tandemHead(model), featureBytes]),
      readScore: (answer) => (answer as { outputs: { data: number[] }[] }).outputs[0]?.data[0] ?? Number.NaN,
    },
    {
      name: 'FastAPI + ONNX Runtime, features given',
      server: 'fastapi',
      request: ({ features }) => post('/infer', `{"features":${features}}`),
      readScore: (answer) => (answer as { score: number }).score,
    },
    {
      name: 'MLServer, features given',
      server: 'mlserver',
      request: ({ features }) =>
        post(
          '/v2/models/scores/infer',
          `{"inputs":[{"name":"features","shape":[1,12],"datatype":"FP32","data":${features}}]}`,
        ),
      readScore: (answer) => (answer as { outputs: { data: number[] }[] }).outputs[0]?.data[0] ?? Number.NaN,
    },
    {
      name: 'BentoML, features given',
      server: 'bentoml',
      request: ({ features }) => post('/infer', `{"features":[${features}]}`),
      readScore: (answer) => (answer as number[][])[0]?.[0] ?? Number.NaN,
    },
    {
      name: 'Ray Serve, features given',
      server: 'ray',
      request: ({ features }) => post('/infer', `{"features":${features}}`),
      readScore: (answer) => (answer as { score: number }).score,
    },
  ];
}

const HEADS = new Map<ModelName, Buffer>();

/** Returns a request without its 12 features, which follow as float32. */
function tandemHead(model: ModelName): Buffer {
  const known = HEADS.get(model);
  if (known) return known;
  const bytes = 12 * Float32Array.BYTES_PER_ELEMENT;
  const features = { name: 'features', shape: [1, 12], datatype: 'FP32', parameters: { binary_data_size: bytes } };
  const json = JSON.stringify({ inputs: [features] });
  const head = Buffer.from(
    [
      `POST /v2/models/${model}/infer HTTP/1.1`,
      ...['Host: 127.0.0.1', 'Content-Type: application/octet-stream'],
      ...[`Inference-Header-Content-Length: ${json.length}`, `Content-Length: ${json.length + bytes}`],
      ...['', json],
    ].join('\r\n'),
  );
  HEADS.set(model, head);
  return head;
}

function scoreOf({ prediction, source, reason }: TandemAnswer, expected: string): number {
  if (source !== expected || (expected === 'batch' && reason !== 'fresh'))
    throw new Error(`Tandem answered as ${source}, ${reason}, not as ${expected}`);
  return prediction.score;
}
