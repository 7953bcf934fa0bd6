/**
 * Whether this process should be sent requests: what it depends on, part by part. Parts are checked together, each
 * within a time limit, and once for all who ask at the same moment.
 */
import type { KeptModels } from '@tandem/embedded/keep-loaded';
import type { Part } from '@tandem/embedded/prove-database';
import type { Authority } from '@tandem/freshness/certificate';
import { isTandemError } from '@tandem/freshness/errors';
import type { InferencePool } from '@tandem/inference/live/pool';
import { type createPool, query } from '@tandem/offline-store/sql/database';
import { schemaState } from '@tandem/offline-store/sql/migrate';
import type { OnlineConnection } from '@tandem/online-store/connection';
import { within } from '@tandem/timing/within';

export interface Readiness {
  readonly status: 'ready' | 'degraded' | 'not_ready';
  readonly parts: readonly { readonly name: string; readonly status: 'ok' | 'failed' | 'draining' }[];
}

export interface ReadinessChecker {
  check(): Promise<Readiness>;
  /** From now on not ready: the process is about to end. */
  drain(): void;
}

interface ReadinessDependencies {
  readonly parts: readonly Part[];
  readonly timeoutMs?: number;
  /** Told of each part that begins to fail, with the reason, which the answer does not show. */
  onFailed(name: string, error: unknown): void;
  /** Told of each part that works again. */
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

// What the API's readiness is made of.

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
    // Certificates go past it; events and live reads do not.
    ...(pools.throughPooler
      ? [{ name: 'pooler', isEssential: true, check: async () => void (await query(pools.pool, { text: 'select 1' })) }]
      : []),
    // Reads go on without it, from Postgres' rows.
    { name: 'redis', isEssential: false, check: () => checkRedis(connection) },
    // Stored predictions are served without it.
    { name: 'inference', isEssential: false, check: createInferenceCheck(dependencies) },
  ];
}

/** Rejects with the database's error if it does not certify and the error counts. */
async function certified(authority: Authority, counts: (error: unknown) => boolean): Promise<void> {
  await authority.certify([]).catch((error: unknown) => {
    if (counts(error)) throw error;
  });
}

function isOtherProtocol(error: unknown): boolean {
  return isTandemError(error, 'protocol_unknown');
}

/**
 * That a child is alive proves little: it may be starting for the tenth time, or have been refused its model. So inference
 * works while each child holds the models that users are answered with, and one of them is free, or does what is asked of
 * it next.
 */
export function createInferenceCheck({
  scorer,
  kept,
}: Pick<ReadinessPartsDependencies, 'scorer' | 'kept'>): () => Promise<void> {
  /** One for all who ask: where nothing answers, questions must not pile up. */
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
  // A newer release migrates before it is rolled out: the older one serves on meanwhile. The protocol is a part of its own.
  if (state === 'current' || state === 'ahead' || state === 'other_protocol') return;
  if (state === 'contracted') throw new Error(`a newer release dropped what this one uses: ${unknown.join(', ')}`);
  throw new Error(`the schema is ${state}; not applied: ${pending.join(', ')}`);
}

async function checkRedis({ layout, isOpen }: ReadinessPartsDependencies['connection']): Promise<void> {
  if (!isOpen()) throw new Error('not connected, or not answering');
  await Promise.all(layout().shards.map(({ server }) => server.redis.ping()));
}
