/** Readers of one user and of many, with every directive that a caller may send, including conditional reads. */
import { setTimeout as pause } from 'node:timers/promises';
import type { PredictionAnswer } from '@tandem/client/wire';
import type { Directives, ReadAnswer } from '../history.ts';
import { toldBy } from '../rig/told-versions.ts';
import type { HttpOutcome } from './http-caller.ts';
import { type Dice, type LoadParts, REFUSED_PAUSE_MS, repeat } from './load-parts.ts';

export interface ReaderOptions {
  /** The rate of each reader. */
  readonly requestsPerSecond: number;
  /** The most users of a read of many. */
  readonly mostUsers: number;
}

/** The requests to one API. */
interface Question {
  readonly userIds: readonly string[];
  readonly directives: Directives;
  /** The token in `Prediction-Min-Context`. */
  readonly token?: string;
}

/** Bodies that a reader remembers with their tags. */
const KEPT_BODIES = 512;

export function startReader(parts: LoadParts, name: string, dice: Dice, options: ReaderOptions): Promise<void> {
  const bodies = new Map<string, ReadAnswer>();

  function remember(answer: ReadAnswer): void {
    if (answer.etag === undefined) return;
    bodies.delete(answer.userId);
    bodies.set(answer.userId, answer);
    const [oldest] = bodies.keys();
    if (bodies.size > KEPT_BODIES && oldest !== undefined) bodies.delete(oldest);
  }

  async function read(): Promise<void> {
    const question = dice.next() < 0.5 ? manyUsers(parts, dice, options) : oneUser(parts, dice, bodies);
    const { userIds, directives } = question;
    const isMany = userIds.length > 1;
    const api = dice.oneOf(parts.apis);
    const outcome = await parts.caller.send(api, requestOf(parts, question));
    const { call } = outcome;
    const answers = isMany ? answersOfMany(outcome) : answersOfOne(outcome, question, bodies);
    parts.sink.write({ kind: 'read', ...call, client: name, many: isMany, userIds, directives, answers });
    if (!isMany) for (const answer of answers) remember(answer);
    if (call.status === null || call.status === 503) await pause(REFUSED_PAUSE_MS);
  }

  return repeat(parts, options.requestsPerSecond, read);
}

function anyUser({ users, changing, recent }: LoadParts, dice: Dice): string {
  const choice = dice.next();
  const changed = choice < 0.2 ? recent.newest(dice) : undefined;
  if (changed) return changed.userId;
  return String(1 + dice.below(choice < 0.6 ? changing : users));
}

function manyUsers(parts: LoadParts, dice: Dice, { mostUsers }: ReaderOptions): Question {
  const choice = dice.next();
  // Each of these is an inference.
  const most = choice < 0.05 ? Math.min(5, mostUsers) : mostUsers;
  const userIds = Array.from({ length: 2 + dice.below(Math.max(1, most - 1)) }, () => anyUser(parts, dice));
  return { userIds, directives: choice < 0.05 ? { noCache: true } : cacheDirectives(dice) };
}

function oneUser(parts: LoadParts, dice: Dice, bodies: ReadonlyMap<string, ReadAnswer>): Question {
  const choice = dice.next();
  if (choice < 0.05) return { userIds: [anyUser(parts, dice)], directives: { noCache: true } };
  const event = choice < 0.25 ? parts.recent.newest(dice) : undefined;
  if (event) {
    return { userIds: [event.userId], directives: { minContext: event.contextVersion }, token: event.contextToken };
  }
  const known = choice < 0.6 ? anyBody(parts, dice, bodies) : undefined;
  if (known?.etag !== undefined) {
    // A reader that also accepts stale answers must not get a 304 for its fresh answer while the current answer is stale.
    const takesStale = dice.next() < 0.3 ? { maxStale: -1 } : {};
    return { userIds: [known.userId], directives: { ifNoneMatch: known.etag, ...takesStale } };
  }
  return { userIds: [anyUser(parts, dice)], directives: cacheDirectives(dice) };
}

/** Returns a remembered body, preferably of a user who has just changed. */
function anyBody({ recent }: LoadParts, dice: Dice, bodies: ReadonlyMap<string, ReadAnswer>): ReadAnswer | undefined {
  const changed = bodies.get(recent.newest(dice)?.userId ?? '');
  if (changed !== undefined && dice.next() < 0.7) return changed;
  return bodies.size > 0 ? dice.oneOf([...bodies.values()]) : undefined;
}

function cacheDirectives(dice: Dice): Directives {
  const choice = dice.next();
  if (choice < 0.06) return { onlyIfCached: true };
  if (choice < 0.12) return { maxStale: -1 };
  if (choice < 0.15) return { maxStale: dice.below(60) };
  return choice < 0.18 ? { onlyIfCached: true, maxStale: -1 } : {};
}

function requestOf({ predictor, deadlines }: LoadParts, { userIds, directives, token }: Question) {
  const timeoutMs = deadlines.read;
  const headers = headersOf(directives, token);
  const [userId = '', ...others] = userIds;
  const path = `/v1/predictions/${predictor}`;
  if (others.length === 0) return { method: 'GET', path: `${path}/${userId}`, headers, timeoutMs } as const;
  return { method: 'POST', path, headers, body: { userIds }, timeoutMs } as const;
}

function headersOf(directives: Directives, token: string | undefined): Record<string, string> {
  const { noCache, onlyIfCached, maxStale, ifNoneMatch } = directives;
  const cacheControl = [
    ...(noCache ? ['no-cache'] : []),
    ...(onlyIfCached ? ['only-if-cached'] : []),
    ...(maxStale === undefined ? [] : [maxStale < 0 ? 'max-stale' : `max-stale=${maxStale}`]),
  ].join(', ');
  return {
    ...(cacheControl === '' ? {} : { 'cache-control': cacheControl }),
    ...(token === undefined ? {} : { 'prediction-min-context': token }),
    ...(ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch }),
  };
}

function answersOfOne(
  { call, headers, body }: HttpOutcome,
  { userIds, directives }: Question,
  bodies: ReadonlyMap<string, ReadAnswer>,
): readonly ReadAnswer[] {
  const [userId = ''] = userIds;
  const etag = headers.etag;
  if (call.status === 304) {
    const known = bodies.get(userId);
    // A 304 repeats the body that had this tag.
    return known?.etag === directives.ifNoneMatch && known
      ? [{ ...known, ...(etag === undefined ? {} : { etag }) }]
      : [];
  }
  if (call.status !== 200) return [];
  const stored = String(headers['cache-status']).includes('; stored') ? { stored: true as const } : {};
  return [{ ...answerOf(body as PredictionAnswer), ...stored, ...(etag === undefined ? {} : { etag }) }];
}

interface ManyBody {
  readonly results?: readonly (
    | PredictionAnswer
    | { readonly userId: string; readonly error: { readonly status: number } }
  )[];
}

function answersOfMany({ call, body }: HttpOutcome): readonly ReadAnswer[] {
  const results = call.status === 200 ? ((body as ManyBody | undefined)?.results ?? []) : [];
  return results.map((result) =>
    'error' in result ? { ...NO_ANSWER, userId: result.userId, status: result.error.status } : answerOf(result),
  );
}

const NO_ANSWER = {
  source: null,
  reason: null,
  score: null,
  contextVersion: null,
  predictedFromContextVersion: null,
  variant: null,
  modelVersion: null,
  computedBy: null,
  generation: null,
} as const;

function answerOf(answer: PredictionAnswer | undefined): ReadAnswer {
  // The checker judges a 200 without a readable body.
  if (answer === undefined) return { ...NO_ANSWER, userId: '', status: 200 };
  const { userId, prediction, source, reason, contextVersion, predictedFromContextVersion } = answer;
  const { variant, modelVersion, generation, computedAt } = answer;
  const said = {
    userId,
    source,
    reason,
    contextVersion,
    predictedFromContextVersion,
    variant,
    modelVersion,
    generation,
    computedAt: computedAt === null ? null : Date.parse(computedAt),
  };
  const { score, told } = prediction;
  const by = typeof score === 'number' ? toldBy(score) : null;
  const shown = { score: by?.count ?? null, computedBy: by?.version ?? null };
  return { ...said, ...shown, status: 200, told: typeof told === 'number' ? told : null };
}
