/**
 * Access control: the first check of a request, before its body is read. A route names the scope it needs; a key has
 * scopes and limits. With keys off, every client that reaches the service has full access.
 */

import { TandemError } from '@tandem/freshness/errors';
import type { RequestHead } from '@tandem/http-server/foreign-request';
import type { Scope } from '@tandem/prediction/keys/api-key';
import type { KeyRing } from '@tandem/prediction/keys/key-ring';
import type { TokenBucket } from '@tandem/prediction/keys/token-bucket';
import type { WideEvent } from '@tandem/telemetry/wide-event';

/**
 * The access that a route requires: a scope, a list of scopes, or `public` if no key is needed. If it is a list, the
 * handler requires one of the scopes, depending on the request. A route that declares no access does not compile.
 */
export type RouteScope = Scope | readonly Scope[] | 'public';

/** The caller of a request. */
export interface Caller {
  /** The name of the actor in audit rows: `key:ci`, or `api` if keys are off. */
  readonly actor: string;
  /** The id of the request's key; undefined if it has none. */
  readonly keyId: string | undefined;
  /** The quota of live inference of the request's key; undefined if the request has no key or its key has no quota. */
  readonly liveQuota: TokenBucket | undefined;
  /** Throws a TandemError `missing_scope` if the key lacks the scope. For routes with several scopes. */
  requireScope(scope: Scope): void;
  hasScope(scope: Scope): boolean;
  /** Returns whether the caller still has access. For answers that last long, such as streams. */
  hasAccess(): boolean;
}

/**
 * Grants access to a request, and adds the key or the reason of the rejection to the event. Throws a TandemError
 * `unauthorized` or `missing_scope`, or a TandemError `rate_limited`. Throws `unavailable` if this process has been
 * unable to read the keys from Postgres for too long.
 */
export type Access = (request: RequestHead, scope: RouteScope, event: WideEvent) => Caller;

const ANYBODY: Caller = Object.freeze({
  actor: 'api',
  keyId: undefined,
  liveQuota: undefined,
  requireScope: () => {},
  hasScope: () => true,
  hasAccess: () => true,
});

/** Grants access to every request: keys are off. */
export const openAccess: Access = () => ANYBODY;

export function createKeyedAccess(ring: KeyRing): Access {
  return function grantAccess(request, scope, event) {
    if (scope === 'public') return ANYBODY;
    if (!ring.isBelieved()) throw notKnown();
    const text = BEARER.exec(request.header('authorization') ?? '')?.[1] ?? '';
    const found = ring.find(text);
    if ('why' in found) {
      event.add({ keyRefused: found.why, ...(found.id === undefined ? {} : { keyId: found.id }) });
      throw unauthorized();
    }
    event.add({ keyId: found.id });
    // The limit is checked before the scope, because requests without the scope count too.
    if (found.requests?.take(1) === 0) throw tooMany(found.requests.perSecond, found.requests.secondsToNext());
    const { id: keyId, name, scopes, liveQuota } = found;
    const requireScope = (...wanted: Scope[]) => {
      if (!wanted.some((one) => scopes.has(one))) throw missingScope(wanted);
    };
    const wanted = [scope].flat() as Scope[];
    requireScope(...wanted);
    const hasScope = (one: Scope) => scopes.has(one);
    return {
      actor: `key:${name}`,
      keyId,
      liveQuota,
      requireScope,
      hasScope,
      hasAccess: () => hasAccess(ring, text, wanted),
    };
  };
}

function hasAccess(ring: KeyRing, text: string, wanted: readonly Scope[]): boolean {
  if (!ring.isBelieved()) return false;
  const found = ring.find(text);
  return !('why' in found) && wanted.some((scope) => found.scopes.has(scope));
}

/** The scheme is case-insensitive (RFC 9110). A malformed token gets the same answer as a wrong one. */
const BEARER = /^bearer +([^\s,]+)$/i;

/** Returns the same error for every problem of a key, so that guessing a key reveals nothing. */
function unauthorized(): TandemError {
  return new TandemError('unauthorized', 'A valid API key is required.', {
    field: 'Authorization',
    remedy: 'send Authorization: Bearer <key>, never a key in a URL; tandem key create makes one',
    headers: { 'www-authenticate': 'Bearer' },
  });
}

/**
 * Returns the error of a key that has none of the scopes.
 * @param wanted scopes, one of which suffices
 */
function missingScope(wanted: readonly Scope[]): TandemError {
  // A challenge with several scopes would mean that all are required (RFC 6750, section 3).
  const challenged = wanted.length === 1 ? `, scope="${wanted[0]}"` : '';
  return new TandemError('missing_scope', `The key lacks the scope ${wanted.join(' or ')}.`, {
    field: 'Authorization',
    remedy: `use a key with this scope: tandem key create --scopes ${wanted.join(', or --scopes ')}`,
    headers: { 'www-authenticate': `Bearer error="insufficient_scope"${challenged}` },
  });
}

function tooMany(perSecond: number, retryAfter: number): TandemError {
  return new TandemError('rate_limited', `The key exceeded its limit of ${perSecond} requests a second.`, {
    retryAfter: Math.max(1, retryAfter),
    remedy: 'retry after the time in Retry-After, or read many users in one request',
  });
}

function notKnown(): TandemError {
  return new TandemError('unavailable', 'The API keys could not be loaded from the database.', {
    retryAfter: 1,
  });
}
