/** Defines the contests: servers, models, numbers of workers and of connections. */
import type { EnvironmentName } from './virtual-environments.ts';
import { fastapiStored, feastStored, givenWays, readingWays, tandemStored, type Way } from './ways.ts';
import type { ModelName } from './world.ts';

/**
 * The kinds of contests. `stored`: predictions computed ahead of time; `trees`, `dense`: a model runs for each request.
 */
export const KINDS = ['stored', 'trees', 'dense'] as const;
export type Kind = (typeof KINDS)[number];

/** A comparison: requests of one kind are sent to one server after the other, in rounds. */
export interface Comparison {
  readonly title: string;
  readonly connections: number;
  /** The exponent of Zipf's law for the users' popularity. With 0, all users are equally likely. */
  readonly exponent: number;
  /** The ways to compare. The first is Tandem's, and the others are compared with it. */
  readonly ways: readonly [Way, ...Way[]];
}

/** A group of comparisons on the same running servers. */
export interface Contest {
  readonly kind: Kind;
  readonly workers: number;
  readonly model: ModelName;
  readonly comparisons: readonly Comparison[];
}

/** The least ratio to a peer, in rate and in CPU per request, with one worker and 64 connections. */
export interface Goal {
  readonly kinds: readonly Kind[];
  readonly way: string;
  readonly least: number;
}

export const GOALS: readonly Goal[] = [
  { kinds: ['stored'], way: fastapiStored.name, least: 6 },
  { kinds: ['trees', 'dense'], way: 'FastAPI + ONNX Runtime, features read from Postgres', least: 3 },
  { kinds: ['trees', 'dense'], way: 'FastAPI + ONNX Runtime, features given', least: 3 },
  { kinds: ['trees', 'dense'], way: 'MLServer, features given', least: 4 },
];

export const CONNECTIONS = 64;

/** The peer whose idle processes take a tenth of a core, which would slow the others down. */
const RESTLESS: EnvironmentName = 'ray';

/** Returns the contests between Tandem and the chosen peers, without those where Tandem would be alone. */
export function contestsOf(kinds: readonly Kind[], peers: readonly EnvironmentName[], cores: number): Contest[] {
  const workers = cores > 1 ? [1, cores] : [1];
  const groups = [peers.filter((name) => name !== RESTLESS), peers.filter((name) => name === RESTLESS)];
  return kinds
    .flatMap((kind) => workers.flatMap((count) => groups.map((group) => contestOf(kind, count, group))))
    .filter(({ comparisons }) => comparisons.length > 0);
}

function contestOf(kind: Kind, workers: number, peers: readonly EnvironmentName[]): Contest {
  const isStored = kind === 'stored';
  const comparisons = isStored ? storedComparisons(workers) : liveComparisons(kind, workers);
  return {
    kind,
    workers,
    model: isStored ? 'trees' : kind,
    comparisons: comparisons.flatMap((one) => among(peers, one)),
  };
}

function liveComparisons(model: ModelName, workers: number): Comparison[] {
  const of = (title: string, connections: number): Comparison[] => [
    { title: `${title}, features read`, connections, exponent: 0, ways: readingWays(model) },
    { title: `${title}, features given`, connections, exponent: 0, ways: givenWays(model) },
  ];
  const together = of(`${CONNECTIONS} connections`, CONNECTIONS);
  // Single requests come first, because adaptive batching such as BentoML's learns waiting times under load.
  return workers === 1 && model === 'trees' ? [...of('one connection', 1), ...together] : together;
}

function storedComparisons(workers: number): Comparison[] {
  const uniform: Comparison = {
    title: `${CONNECTIONS} connections, each user as likely as any other`,
    ...{ connections: CONNECTIONS, exponent: 0, ways: [tandemStored, fastapiStored, feastStored] },
  };
  const skewed: Comparison = {
    title: `${CONNECTIONS} connections, users by Zipf's law with exponent 1`,
    ...{ connections: CONNECTIONS, exponent: 1, ways: [tandemStored, fastapiStored] },
  };
  return workers === 1 ? [uniform, skewed] : [uniform];
}

/** Returns the comparison with only these servers, or an empty list if Tandem would be alone. */
export function among(peers: readonly Way['server'][], comparison: Comparison): Comparison[] {
  const [tandem, ...others] = comparison.ways;
  const chosen = others.filter(({ server }) => server !== 'tandem' && peers.includes(server));
  return chosen.length === 0 ? [] : [{ ...comparison, ways: [tandem, ...chosen] }];
}
