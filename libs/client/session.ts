/**
 * A session reads its own events. The token of each acknowledgement becomes the `minContext` of later reads of that
 * user. No read gets an answer from before the event, not even as `stale`.
 */
import type { RankingCalls } from '@tandem/rankings/client';
import type { AnyPredictors, PredictorsLike } from '@tandem/transport/predictor-types';
import type { Client } from './create-client.ts';
import type { PredictOptions } from './predictions.ts';
import type { EventInput, EventResult } from './wire.ts';

/** Tokens by user id, as plain data that an application can keep between requests. */
export type ContextTokens = Readonly<Record<string, string>>;

export interface Session<P extends PredictorsLike<P> = AnyPredictors>
  extends Pick<Client<P>, 'predict' | 'sendEvents'>,
    RankingCalls<P> {
  /** Adds a token from outside the session. A token older than the token of the session is ignored. */
  remember(userId: string, contextToken: string): void;
  /** Drops the token of a user, for example after the problem `history_changed`: the database lost the event. */
  forget(userId: string): void;
  tokens(): ContextTokens;
}

/** Creates a session, which keeps one token for each user. */
export function createSession<P extends PredictorsLike<P>>(client: Client<P>, tokens: ContextTokens = {}): Session<P> {
  const newest = new Map(Object.entries(tokens));
  const remember = (userId: string, token: string) => {
    const known = newest.get(userId);
    if (known === undefined || !isBefore(token, known)) newest.set(userId, token);
  };
  const carrying = <O extends Pick<PredictOptions, 'minContext'>>(userId: string, options?: O): O => {
    const token = newest.get(userId);
    const { minContext } = options ?? {};
    const isOlder = token === undefined || (minContext !== undefined && isBefore(token, minContext));
    return { ...options, ...(isOlder ? {} : { minContext: token }) } as O;
  };
  const predict = (predictor: never, userId: string, options?: PredictOptions) =>
    client.predict(predictor, userId, carrying(userId, options));
  return {
    predict: predict as Client<P>['predict'],
    rank: (predictor, input, options) => client.rank(predictor, input, carrying(input.userId, options)),
    sendEvents: async (events: readonly EventInput[], options): Promise<readonly EventResult[]> => {
      const results = await client.sendEvents(events, options);
      for (const { userId, contextToken } of results) remember(userId, contextToken);
      return results;
    },
    remember,
    forget: (userId) => void newest.delete(userId),
    tokens: () => Object.fromEntries(newest),
  };
}

/**
 * Returns whether a token has an older context version than another token of the same history. Tokens of two histories
 * have no order: the token received last counts.
 */
function isBefore(token: string, other: string): boolean {
  const [history, version] = partsOf(token);
  const [otherHistory, otherVersion] = partsOf(other);
  return history === otherHistory && version < otherVersion;
}

/** Returns the parts of a token `history.version`. */
function partsOf(token: string): [history: string, version: number] {
  const dot = token.lastIndexOf('.');
  return [token.slice(0, dot), Number(token.slice(dot + 1))];
}
