/**
 * Keeps the database's predictors and model versions in memory. Any change of them raises the revision, which every
 * certificate carries. A reader that sees a later revision reports it here, and older entries are loaded again when
 * needed.
 */
import { TandemError } from '@tandem/freshness/errors';
import type { ModelVersion, Policy, Predictor } from '@tandem/freshness/predictor';
import type { Registry } from '@tandem/freshness/reader';
import { IdleCache } from '@tandem/timing/idle-cache';
import type pg from 'pg';
import { REVISION_SQL } from '../certificate/certificate-statement.ts';
import { type Db, query, sqlState } from '../sql/database.ts';
import { fetchFirst, statements } from '../sql/statements.ts';
import { type ArtifactStore, createArtifactStore } from './artifacts.ts';

export interface StoredRegistry extends Registry {
  /** Returns the active predictors by name. */
  predictors(): Promise<readonly Predictor[]>;
  /** Returns the bytes of an artifact, checked against its hash. */
  loadArtifact(hash: string): Promise<Buffer>;
}

/** A revision and its history: another history may have the same revision after other changes. */
interface Noticed {
  readonly revision: number;
  readonly history: string;
}

interface Loaded extends Noticed {
  readonly at: number;
  readonly predictors: ReadonlyMap<string, Predictor>;
}

/**
 * The default time limit of a load in ms. It is short, since reads wait for it and can usually use known entries. A
 * caller without any entry waits longer.
 */
const LOAD_WITHIN_MS = 1_000;
const RETRY_SILENT_MS = 1_000;
/** The shortest time between two lookups of an unknown name, since a caller may request it continuously. */
const RETRY_UNKNOWN_MS = 1_000;
const UNDEFINED_TABLE = '42P01';

interface RegistryOptions {
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
  readonly artifacts?: Pick<ArtifactStore, 'get'>;
  /** The time limit of a load in ms, once there are known entries. */
  readonly loadWithinMs?: number;
}

export function createRegistry(
  pool: pg.Pool,
  {
    now = () => performance.now(),
    artifacts = createArtifactStore(pool),
    loadWithinMs = LOAD_WITHIN_MS,
  }: RegistryOptions = {},
): StoredRegistry {
  let noticed: Noticed = { revision: 0, history: '' };
  let loaded: Loaded | undefined;
  let loading: Promise<Loaded> | undefined;
  /** The time until which no load is retried after a failed load, unless a certificate comes first. */
  let silentUntil = 0;
  const versions = new IdleCache((id) => findModelVersion(pool, id), now);

  function load(): Promise<Loaded> {
    loading ??= loadPredictors(pool, loaded && loadWithinMs)
      .then((found) => {
        loaded = { ...found, at: now() };
        // A restore may have lowered the revision. Revisions of the other history no longer count.
        noticed = found;
        return loaded;
      })
      .catch((error: unknown) => {
        silentUntil = now() + RETRY_SILENT_MS;
        throw error;
      })
      .finally(() => {
        loading = undefined;
      });
    return loading;
  }

  function isAsNoticed({ revision, history }: Loaded): boolean {
    return revision === noticed.revision && history === noticed.history;
  }

  async function current(): Promise<Loaded> {
    if (!loaded) return load();
    if (isAsNoticed(loaded) || now() < silentUntil) return loaded;
    // While Postgres does not answer, the last known assignments stay. Each read decides how to use them.
    const before = loaded;
    return load().catch(() => before);
  }

  async function findPredictor(name: string): Promise<Predictor | undefined> {
    const known = await current();
    const predictor = known.predictors.get(name);
    if (predictor || now() - known.at < RETRY_UNKNOWN_MS) return predictor;
    return (await load().catch(() => known)).predictors.get(name);
  }

  return {
    noticeRevision(revision, history) {
      silentUntil = 0;
      if (revision !== noticed.revision || history !== noticed.history) noticed = { revision, history };
    },
    predictor(name) {
      // This is called twice for each read, and almost always answered from memory.
      const predictor = loaded && isAsNoticed(loaded) ? loaded.predictors.get(name) : undefined;
      return predictor ? Promise.resolve(predictor) : findPredictor(name);
    },
    async predictors() {
      return [...(await current()).predictors.values()];
    },
    modelVersion: (id) => versions.get(id),
    loadArtifact: (hash) => artifacts.get(hash),
  };
}

async function loadPredictors(db: Db, withinMs: number | undefined) {
  const rows = await query<Noticed & { name: string | null; keyType: Predictor['keyType']; policy: Policy }>(db, {
    text: `select ${REVISION_SQL}::float8 as revision, tandem.current_history() as history, s.key_type as "keyType", p.name, p.policy
      from tandem.settings s left join tandem.predictors p on p.active order by p.name`,
    withinMs,
  }).catch((error: unknown) => {
    if (sqlState(error) !== UNDEFINED_TABLE) throw error;
    const message = 'The schema of the database is older than this release.';
    throw new TandemError('unavailable', message, { remedy: 'run tandem migrate', retryAfter: 5, cause: error });
  });
  const predictors = new Map<string, Predictor>();
  for (const { name, keyType, policy } of rows) {
    if (name !== null) predictors.set(name, Object.freeze({ name, keyType, policy }));
  }
  const { revision, history } = rows[0] ?? { revision: 0, history: '' };
  return { revision, history, predictors };
}

export async function findModelVersion(db: Db, id: string): Promise<ModelVersion> {
  const version = statements.selectFrom('tandem.model_versions').select(['number', 'definition']).where('id', '=', id);
  const row = await fetchFirst(db, version);
  if (!row) throw new Error(`there is no model version ${id}`);
  return Object.freeze({ ...row.definition, id, number: row.number });
}
