/**
 * Decides whether this process should receive requests, from the state of each part that it depends on. Parts are
 * checked concurrently, each within a time limit, and once for all concurrent callers.
 */

import type { Authority } from '@tandem/freshness/certificate';
import { isTandemError } from '@tandem/freshness/errors';
import type { InferencePool } from '@tandem/inference/live/pool';
import { type createPool, query } from '@tandem/offline-store/sql/database';
import { schemaState } from '@tandem/offline-store/sql/migrate';
import type { OnlineConnection } from '@tandem/online-store/connection';
import type { KeptModels } from '@tandem/reading/keep-loaded';
import type { Part } from '@tandem/reading/prove-database';
import { within } from '@tandem/timing/within';

export interface Readiness {
  readonly status: 'ready' | 'degraded' | 'not_ready';
  readonly parts: readonly { readonly name: string; readonly status: 'ok' | 'failed' | 'draining' }[];
}

export interface ReadinessChecker {
  check(): Promise<Readiness>;
  /** Marks the process as not ready from now on: it is about to end. */
  drain(): void;
}

interface ReadinessDependencies {
  readonly parts: readonly Part[];
  readonly timeoutMs?: number;
  /** Called when a part begins to fail, with the reason, which the answer does not show. */
  onFailed(name: string, error: unknown): void;
  /** Called when a part works again. */
  onMended(name: string): void;
}

export function createReadiness({
  parts,
  timeoutMs = 1_000,
  onFailed,
  onMended,
}: ReadinessDependencies): ReadinessChecker {
  const failing = new Set<string>();
  let isDraining = false;
  let underWay: Promise<Readiness> | undefined;

  async function statusOf({ name, check }: Part) {
    try {
      await within(timeoutMs, check(), () => new Error(`no answer within ${timeoutMs} ms`));
      if (failing.delete(name)) onMended(name);
      return { name, status: 'ok' as const };
    } catch (error) {
      if (!failing.has(name)) onFailed(name, error);
      failing.add(name);
      return { name, status: 'failed' as const };
    }
  }

  async function checkAll(): Promise<Readiness> {
    const found = await Promise.all(parts.map(statusOf));
    const failed = parts.filter((_, i) => found[i]?.status === 'failed');
    const status = failed.some((part) => part.isEssential) ? 'not_ready' : failed.length > 0 ? 'degraded' : 'ready';
    return { status, parts: found };
  }

  return {
    async check() {
      if (isDraining) return { status: 'not_ready', parts: [{ name: 'process', status: 'draining' }] };
      underWay ??= checkAll().finally(() => {
        underWay = undefined;
      });
      return underWay;
    },
    drain() {
      isDraining = true;
    },
  };
}

// The parts of the API's readiness.

type Pool = ReturnType<typeof createPool>;

export interface ReadinessPartsDependencies {
  readonly pools: { readonly pool: Pool; readonly vital: Pool; readonly throughPooler: boolean };
  readonly authority: Authority;
  readonly connection: Pick<OnlineConnection, 'layout' | 'isOpen'>;
  readonly scorer: Pick<InferencePool, 'stats'>;
  readonly kept: Pick<KeptModels, 'assertServed' | 'ask'>;
}

export function createReadinessParts(dependencies: ReadinessPartsDependencies): readonly Part[] {
  const { pools, authority, connection } = dependencies;
  return [
    { name: 'postgres', isEssential: true, check: () => certified(authority, (error) => !isOtherProtocol(error)) },
    { name: 'protocol', isEssential: true, check: () => certified(authority, isOtherProtocol) },
    { name: 'schema', isEssential: true, check: () => checkSchema(pools.vital) },
    // Events and live reads use it, but certificates do not.
    ...(pools.throughPooler
      ? [{ name: 'pooler', isEssential: true, check: async () => void (await query(pools.pool, { text: 'select 1' })) }]
      : []),
    // Without Redis, reads continue from Postgres' rows.
    { name: 'redis', isEssential: false, check: () => checkRedis(connection) },
    // Without inference, stored predictions are still served.
    { name: 'inference', isEssential: false, check: createInferenceCheck(dependencies) },
  ];
}

/**
 * Requests a certificate from Postgres. If that fails, rejects with the error, unless `counts` returns false for it.
 */
async function certified(authority: Authority, counts: (error: unknown) => boolean): Promise<void> {
  await authority.certify([]).catch((error: unknown) => {
    if (counts(error)) throw error;
  });
}

function isOtherProtocol(error: unknown): boolean {
  return isTandemError(error, 'protocol_unknown');
}

/**
 * Checks inference. A live child proves little: it may have restarted many times, or it may have rejected its model. So
 * inference works if each child has the serving models loaded, and a child is free or completes its next request.
 */
export function createInferenceCheck({
  scorer,
  kept,
}: Pick<ReadinessPartsDependencies, 'scorer' | 'kept'>): () => Promise<void> {
  /** The running check, which all callers share, so that checks do not pile up if no child answers. */
  let asking: Promise<void> | undefined;
  return async () => {
    kept.assertServed();
    if (scorer.stats().idle > 0) return;
    asking ??= kept.ask().finally(() => {
      asking = undefined;
    });
    await asking;
  };
}

async function checkSchema(pool: Pool): Promise<void> {
  const { state, pending, unknown } = await schemaState(pool);
  // A newer release migrates before it is rolled out: the older one continues to serve meanwhile. The protocol is a
  // separate part.
  if (state === 'current' || state === 'ahead' || state === 'other_protocol') return;
  if (state === 'contracted')
    throw new Error(`a newer release dropped objects that this release uses: ${unknown.join(', ')}`);
  throw new Error(`the schema is ${state}; not applied: ${pending.join(', ')}`);
}

async function checkRedis(connection: ReadinessPartsDependencies['connection']): Promise<void> {
  if (!connection.isOpen()) throw new Error('not connected, or not answering');
  await Promise.all(connection.layout().shards.map(({ server }) => server.redis.ping()));
}
