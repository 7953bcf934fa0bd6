/**
 * An application with an embedded reader that answers on the paths of the API. The load reads from it like from an API,
 * and the checker judges its answers by the same rules.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { createTandem, type ReadDemand, TandemError } from '@tandem/embedded';
import { parseCacheControl } from '@tandem/endpoints/caching';
import { toProblem } from '@tandem/endpoints/problem';

const { DATABASE_URL: url = '', DATABASE_DIRECT_URL: directUrl, REDIS_URL: redis = '', PORT: port } = process.env;

const tandem = await createTandem({
  database: { url, ...(directUrl === undefined ? {} : { directUrl }) },
  redis,
});

function demandOf({ headers }: IncomingMessage): ReadDemand {
  const { noCache, onlyIfCached, maxAge, maxStale } = parseCacheControl(headers['cache-control']);
  const token = headers['prediction-min-context'];
  return {
    ...{ noCache, onlyIfCached },
    ...(maxAge === null ? {} : { maxAge }),
    ...(maxStale === null ? {} : { maxStale }),
    ...(typeof token === 'string' ? { minContext: token } : {}),
  };
}

async function read(request: IncomingMessage): Promise<unknown> {
  const [predictor = '', userId] = (request.url ?? '').replace('/v1/predictions/', '').split('/');
  if (userId !== undefined) return tandem.read(predictor, userId, demandOf(request));
  const { userIds } = (await json(request)) as { readonly userIds: readonly string[] };
  const results = await tandem.readMany(predictor, userIds, demandOf(request));
  return {
    results: results.map((result, i) =>
      result instanceof TandemError ? { userId: userIds[i], error: toProblem(result).problem } : result,
    ),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const body = JSON.stringify(await read(request));
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  } catch (error) {
    const { problem, headers } = toProblem(error);
    response
      .writeHead(problem.status, { 'content-type': 'application/problem+json', ...headers })
      .end(JSON.stringify(problem));
  }
}

const server = createServer((request, response) => void answer(request, response));
server.listen(Number(port), '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ event: 'embedded.started', port: Number(port) })}\n`);
});
