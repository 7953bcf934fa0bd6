/** What Redis holds of a user, for people who look into it; never for a decision. */
import { parseContextToken } from '@tandem/prediction/events';
import type { StoredPrediction } from '@tandem/prediction/stored-prediction';
import { isRefusal, type OnlineConnection, unavailable } from './connection.ts';
import { createKeys, placeOf } from './keys.ts';
import { decodeOverlayEntry } from './stored-value.ts';
import { command } from './write-together.ts';

export interface UserInRedis {
  readonly hint: { readonly history: string; readonly version: number } | null;
  readonly overlay: readonly { readonly predictor: string; readonly entry: StoredPrediction }[];
}

export interface UserDescriberDependencies {
  readonly connection: OnlineConnection;
  readonly prefix?: string;
}

/** One round trip. Rejects `unavailable` where Redis does not answer. */
export function createUserDescriber({ connection, prefix }: UserDescriberDependencies) {
  const keys = createKeys(prefix);
  return async function describeUser(predictors: readonly string[], userId: string): Promise<UserInRedis> {
    const place = placeOf(userId);
    const asked = [keys.hint(place), ...predictors.map((predictor) => keys.overlay(place, predictor))];
    const [reply] = await connection.send([command('mget', asked)]);
    if (isRefusal(reply)) throw unavailable('it refused a read', reply);
    const [hint, ...entries] = Array.isArray(reply) ? (reply as (Buffer | null)[]) : [];
    return {
      hint: hint ? parseContextToken(hint.toString('latin1')) : null,
      overlay: predictors.flatMap((predictor, i) => {
        const bytes = entries[i];
        const entry = bytes ? decodeOverlayEntry(bytes, place.hash) : null;
        return entry ? [{ predictor, entry }] : [];
      }),
    };
  };
}
