/**
 * Model versions as rows: their definition (immutable), and facts about them: origin, trial results, the owner's note
 * and metrics. Inserting a version does not change serving: only arms do.
 */

import { type ModelDefinition, type ModelVersion, modelVersionId } from '@tandem/freshness/predictor';
import {
  type KeptCertificate,
  type ModelMetadata,
  type Verification,
  withoutUsers,
} from '@tandem/prediction/models/verification';
import { type Db, query } from '../sql/database.ts';
import { statements } from '../sql/statements.ts';

/** The origin of a version: a config or a push. */
export type OriginKind = 'adopt' | 'push';

export interface ModelOrigin {
  /** The actor as in audit rows: `key:ci`, `api`, `cli`. */
  readonly by: string;
  readonly how: OriginKind;
}

/** The parent and the kind of an optimised build. */
export interface BuildOf {
  /** Number of the parent version. */
  readonly parent: number;
  /** The kind, as its author named it: `int8`, `pruned`, `distilled`. */
  readonly kind: string;
}

/** The owner's remarks on a version. */
export interface OwnersWords {
  readonly note: string;
  readonly metrics: Readonly<Record<string, number>>;
  readonly build: BuildOf | null;
}

/** The remarks of one push. */
export interface SaidWords {
  readonly note?: string | undefined;
  readonly metrics?: OwnersWords['metrics'] | undefined;
  readonly build?: BuildOf | undefined;
}

/** A model version with all its facts. */
export interface ModelVersionRecord extends ModelVersion, OwnersWords {
  readonly createdAt: Date;
  /** The time of archiving; null if not archived. */
  readonly archivedAt: Date | null;
  readonly origin: ModelOrigin;
  /** The results of its trial. Both are null for a version that was adopted before certificates existed. */
  readonly metadata: ModelMetadata | null;
  readonly parity: KeptCertificate | null;
  /** The size of its file in bytes. */
  readonly size: number;
  readonly labels: readonly string[];
  /** The arms that serve the version. */
  readonly arms: readonly string[];
}

export interface VersionQuery {
  /** The predictor; default: all predictors that are served. */
  readonly predictor?: string;
  readonly number?: number;
}

/** SQL for whether no run can score users with model version `v`, since it has request features without a default. */
export const IS_LIVE_ONLY = `exists (
  select from jsonb_array_elements(to_jsonb(v.definition) -> 'request') q where q -> 'default' is null)`;

interface Row extends Omit<ModelVersionRecord, keyof ModelDefinition | 'build'> {
  readonly definition: ModelDefinition;
  readonly parent: number | null;
  readonly kind: string | null;
}

/** Lists versions by predictor, the oldest version of each first. */
export async function listModelVersions(
  db: Db,
  { predictor, number }: VersionQuery = {},
): Promise<readonly ModelVersionRecord[]> {
  const rows = await query<Row>(db, {
    text: `select m.id, m.number, m.definition, m.created_at as "createdAt", m.archived_at as "archivedAt", m.note, m.origin, m.metadata, m.metrics,
        m.parity, m.build as kind, p.number as parent, a.size,
        array(select label from tandem.version_labels l where l.model_version_id = m.id order by label) as labels,
        array(select name from tandem.arms r where r.predictor = m.predictor and r.model_version_id = m.id
          order by name <> 'stable', name) as arms
      from tandem.model_versions m
      join tandem.predictors n on n.name = m.predictor
      join tandem.artifacts a on a.hash = m.artifact_hash
      left join tandem.model_versions p on p.id = m.parent_id
      where case when $1::text is null then n.active else m.predictor = $1 end and ($2::int is null or m.number = $2)
      order by m.predictor, m.number`,
    values: [predictor ?? null, number ?? null],
  });
  return rows.map(({ definition, parent, kind, ...row }) => ({
    ...definition,
    ...row,
    build: parent === null || kind === null ? null : { parent, kind },
  }));
}

/** Returns a statement on one model version, without columns. */
export function numberedVersion(predictor: string, number: number) {
  return statements.selectFrom('tandem.model_versions').where(({ and }) => and({ predictor, number }));
}

export interface VersionToKeep {
  readonly definition: ModelDefinition;
  readonly origin: ModelOrigin;
  /** The results of the version's trial; absent if there was no trial. */
  readonly verification?: Verification | undefined;
  readonly words?: SaidWords | undefined;
}

export interface KeptVersion {
  readonly id: string;
  readonly number: number;
  readonly isNew: boolean;
  /** Whether the version is new, or its note or metrics changed. */
  readonly isChanged: boolean;
}

/**
 * Inserts the version if it is new; its artifact must exist. A known version keeps its definition, gets a missing
 * certificate and any given note and metrics, and is unarchived. The caller holds `lockAssignments`, so that numbers
 * are assigned one at a time.
 */
export async function keepVersion(
  db: Db,
  { definition, origin, verification, words }: VersionToKeep,
): Promise<KeptVersion> {
  const id = modelVersionId(definition);
  const { predictor, artifactHash } = definition;
  const metadata = verification?.metadata ?? null;
  const parity = verification ? withoutUsers(verification.parity) : null;
  const { note, metrics, build } = words ?? {};
  const [known] = await query<{ number: number; isChanged: boolean }>(db, {
    text: `update tandem.model_versions m set metadata = coalesce(m.metadata, $2), parity = coalesce(m.parity, $3),
        note = coalesce($4, m.note), metrics = coalesce($5, m.metrics), archived_at = null
      from (select note, metrics from tandem.model_versions where id = $1 for update) before
      where m.id = $1
      returning m.number, (m.note, m.metrics) is distinct from (before.note, before.metrics) as "isChanged"`,
    values: [id, jsonOf(metadata), jsonOf(parity), note ?? null, jsonOf(metrics ?? null)],
  });
  if (known) return { id, isNew: false, ...known };
  const [inserted] = await query<{ number: number }>(db, {
    text: `insert into tandem.model_versions (id, predictor, number, artifact_hash, definition, origin, metadata, parity,
        note, metrics, build, parent_id)
      select $1, $2, coalesce(max(number), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $10,
        (select id from tandem.model_versions where predictor = $2 and number = $11)
      from tandem.model_versions where predictor = $2 returning number`,
    values: [
      ...[id, predictor, artifactHash, jsonOf(definition), jsonOf(origin), jsonOf(metadata), jsonOf(parity)],
      ...[note ?? '', jsonOf(metrics ?? {}), build?.kind ?? null, build?.parent ?? null],
    ],
  });
  return { id, number: inserted?.number ?? 0, isNew: true, isChanged: true };
}

function jsonOf(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value);
}
