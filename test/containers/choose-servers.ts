/**
 * Chooses the Postgres and the Redis of a test run. A URL in the environment has priority. Next, for Postgres, is a
 * folder of programs to start. Next are containers, if an engine answers and has the images or can fetch them.
 * Otherwise the run starts the servers that npm installed.
 */
import type { EngineAnswer } from './engine.ts';

export type Place =
  | { readonly kind: 'given'; readonly url: string; readonly variable: string }
  | { readonly kind: 'container'; readonly image: string }
  | { readonly kind: 'embedded' };

/** The source of Postgres. An installed Postgres is started like the embedded one, but from another folder. */
export type PostgresPlace = Place | { readonly kind: 'installed'; readonly binDir: string };

export interface ServersChoice {
  readonly postgres: PostgresPlace;
  readonly redis: Place;
  /** The first line of the test run's output. */
  readonly sentence: string;
}

/** A function that returns whether containers of these images can be started on this machine. */
export type AskEngine = (images: readonly string[]) => Promise<EngineAnswer>;

/**
 * Chooses the servers. Throws with a remedy if TEST_SERVERS is invalid, or requires containers that cannot be started.
 */
export async function chooseServers(env: NodeJS.ProcessEnv, askEngine: AskEngine): Promise<ServersChoice> {
  const wanted = env.TEST_SERVERS || 'any';
  if (!['any', 'containers', 'embedded'].includes(wanted)) {
    throw new Error(`TEST_SERVERS is ${wanted}; set it to containers or embedded, or leave it out.`);
  }
  const images = {
    postgres: env.TEST_POSTGRES_IMAGE || 'postgres:18-alpine',
    redis: env.TEST_REDIS_IMAGE || 'redis:8-alpine',
  };
  const given = {
    postgres: givenBy('TEST_DATABASE_URL', env) ?? installedAt(env.TEST_POSTGRES_BIN),
    redis: givenBy('TEST_REDIS_URL', env),
  };
  const missing = (['postgres', 'redis'] as const).filter((server) => given[server] === undefined);
  const needed = missing.map((server) => images[server]);
  const answer = needed.length === 0 || wanted === 'embedded' ? null : await askEngine(needed);
  if (wanted === 'containers' && answer?.kind === 'unusable') {
    throw new Error(
      `TEST_SERVERS=containers: ${answer.why}. Start Docker, fetch the images once (docker pull ${needed.join('; docker pull ')}), or leave TEST_SERVERS out.`,
    );
  }
  const ours = (server: 'postgres' | 'redis'): Place =>
    answer?.kind === 'ready' ? { kind: 'container', image: images[server] } : { kind: 'embedded' };
  const places = { postgres: given.postgres ?? ours('postgres'), redis: given.redis ?? ours('redis') };
  return { ...places, sentence: describe(places, answer) };
}

function givenBy(variable: string, env: NodeJS.ProcessEnv): Place | undefined {
  const url = env[variable];
  return url ? { kind: 'given', url, variable } : undefined;
}

function installedAt(binDir: string | undefined): PostgresPlace | undefined {
  return binDir ? { kind: 'installed', binDir } : undefined;
}

/** Describes the choice. It names the variables of given servers, but never their URLs, which contain passwords. */
function describe({ postgres, redis }: { postgres: PostgresPlace; redis: Place }, answer: EngineAnswer | null): string {
  const places = `tests on Postgres ${describePlace(postgres)} and Redis ${describePlace(redis)}`;
  if (answer === null) return places;
  return `${places} (${answer.kind === 'ready' ? answer.engine : answer.why})`;
}

function describePlace(place: PostgresPlace): string {
  switch (place.kind) {
    case 'given':
      return `of ${place.variable}`;
    case 'installed':
      return `of ${place.binDir}`;
    case 'container':
      return `in a container of ${place.image}`;
    case 'embedded':
      return 'embedded';
  }
}
