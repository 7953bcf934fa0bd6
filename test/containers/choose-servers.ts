/**
 * Which Postgres and which Redis a test run uses. A URL in the environment comes first; then, for Postgres, a folder of
 * programs to start; then containers, where an engine answers that has the images or can fetch them. Else the run starts
 * the servers that npm installed.
 */
import type { EngineAnswer } from './engine.ts';

export type Place =
  | { readonly kind: 'given'; readonly url: string; readonly variable: string }
  | { readonly kind: 'container'; readonly image: string }
  | { readonly kind: 'embedded' };

/** A Postgres of this machine is started as the embedded one is, from the programs in another folder. */
export type PostgresPlace = Place | { readonly kind: 'installed'; readonly binDir: string };

export interface ServersChoice {
  readonly postgres: PostgresPlace;
  readonly redis: Place;
  /** The first line of a test run. */
  readonly sentence: string;
}

/** Says whether containers of these images can be started here. */
export type AskEngine = (images: readonly string[]) => Promise<EngineAnswer>;

/** Throws, with a remedy, where TEST_SERVERS has no such value, or wants containers and there can be none. */
export async function chooseServers(env: NodeJS.ProcessEnv, askEngine: AskEngine): Promise<ServersChoice> {
  const wanted = env.TEST_SERVERS || 'any';
  if (!['any', 'containers', 'embedded'].includes(wanted)) {
    throw new Error(`TEST_SERVERS is ${wanted}: set it to containers or embedded, or leave it out.`);
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

/** Names the variables of given servers, never their URLs: those hold passwords. */
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
