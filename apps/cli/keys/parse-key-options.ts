/** Parses the options of `tandem key`. */

import { InvalidArgumentError } from '@commander-js/extra-typings';
import { parseList } from '@tandem/commands/command';
import { nearestName } from '@tandem/config/predictor/config-problem';
import { SCOPES, type Scope } from '@tandem/prediction/keys/api-key';
import { parseDuration } from '@tandem/wire/durations';

/** Parses `predictions:read,events:write`, or `all` for all current scopes. */
export function parseScopes(text: string): readonly Scope[] {
  if (text === 'all') return SCOPES;
  const names = parseList(text);
  if (names.includes('all')) {
    throw new InvalidArgumentError(
      'all stands alone, because it means every scope: use --scopes all, or leave out all.',
    );
  }
  return [...new Set(names.map(parseScope))];
}

function parseScope(text: string): Scope {
  const scope = SCOPES.find((one) => one === text);
  if (scope !== undefined) return scope;
  const meant = nearestName(text, SCOPES);
  throw new InvalidArgumentError(
    `${JSON.stringify(text)} is not a scope${meant ? `; did you mean ${meant}?` : '.'} The scopes are ${SCOPES.join(', ')}; all means all of these.`,
  );
}

/** Parses `100/s` or `90/m` to a number per second, or `none` to Infinity: commander takes null for a missing value. */
export function parseRate(text: string): number {
  if (text === 'none') return Number.POSITIVE_INFINITY;
  const [, amount = '', unit] = /^(\d{1,9}(?:\.\d{1,3})?)\/(s|m)$/.exec(text) ?? [];
  const perSecond = Number(amount) / (unit === 'm' ? 60 : 1);
  if (amount !== '' && perSecond > 0) return perSecond;
  throw new InvalidArgumentError('a number per second or minute is expected, such as 100/s or 90/m, or none.');
}

/** The users that the events of a key may make known a day, unless its creator says otherwise. */
export const NEW_USERS_A_DAY = 1_000_000;

/** Parses `50000/d` to a number per day, or `none` to Infinity. */
export function parseNewUsers(text: string): number {
  if (text === 'none') return Number.POSITIVE_INFINITY;
  const [, amount = ''] = /^([1-9]\d{0,11})\/d$/.exec(text) ?? [];
  if (amount !== '') return Number(amount);
  throw new InvalidArgumentError('a number per day is expected, such as 50000/d, or none for no limit.');
}

/** The longest span, a hundred years: Postgres cannot represent times that are too far away. */
const LONGEST_SPAN_MS = 36_500 * 86_400_000;

/** Parses a span such as `90d` to milliseconds. */
export function parseSpan(text: string): number {
  const ms = parseDuration(text);
  if (ms !== null && ms <= LONGEST_SPAN_MS) return ms;
  throw new InvalidArgumentError('a whole number with a unit is expected, such as 90d, 24h or 30m, up to 36500d.');
}

/** Parses a span like `parseSpan`, but also accepts `0`. */
export function parseGrace(text: string): number {
  return text === '0' ? 0 : parseSpan(text);
}

export function parseName(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern refuses control characters
  if (text.trim() !== '' && text.length <= 100 && !/[\u0000-\u001f\u007f-\u009f]/.test(text)) return text.trim();
  throw new InvalidArgumentError('a name of at most 100 characters is expected.');
}
