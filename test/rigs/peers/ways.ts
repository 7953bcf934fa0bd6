/** The request for a user's score to each server, and where its answer has the score. */
import type { EnvironmentName } from './virtual-environments.ts';
import type { ModelName, User } from './world.ts';

export interface Way {
  /** As the report names it. */
  readonly name: string;
  readonly server: EnvironmentName | 'tandem';
  /** A whole HTTP request. */
  request(user: User): string;
  /** Throws if the answer is not of the kind that is measured. */
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

/** Returns the ways of live inference. Tandem and the first way of FastAPI read features from Postgres for each request. */
export function liveWays(model: ModelName): [Way, ...Way[]] {
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

function scoreOf({ prediction, source, reason }: TandemAnswer, expected: string): number {
  if (source !== expected || (expected === 'batch' && reason !== 'fresh'))
    throw new Error(`Tandem answered as ${source}, ${reason}, not as ${expected}`);
  return prediction.score;
}
