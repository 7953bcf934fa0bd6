/**
 * The rules of predictors that the events' trigger reads: the event types that concern each predictor, and the feature
 * names. rule-changes.ts changes these rules during concurrent events.
 */
import type { FeatureKind, ModelDefinition } from '@tandem/freshness/predictor';
import { type Db, query } from '../sql/database.ts';
import { changeRows, statements } from '../sql/statements.ts';
import { openRules, requireSettled, setPatternsPending, UnsettledRules } from './rule-changes.ts';

// Events may carry the features of every model version that a predictor may serve without a new run. With the newest
// version's features alone, a rollback would serve a version that lacks the values of later events.

/** Returns the event features of one version: its features, if its query declares how long an event's value counts. */
export function eventFeatures({
  query: { columns, asOf, overlayForMs },
}: ModelDefinition): Record<string, FeatureKind> {
  if (asOf === null && overlayForMs === null) return {};
  return Object.fromEntries(columns.map(({ name, kind }) => [name, kind]));
}

/**
 * Returns the first feature that the two versions take from events as different JSON types; undefined if there is none.
 */
export function conflictingFeature(one: ModelDefinition, other: ModelDefinition): string | undefined {
  const kinds = eventFeatures(other);
  const jsonType = (kind: FeatureKind | undefined) => (kind === 'integer' ? 'number' : kind);
  return Object.entries(eventFeatures(one)).find(
    ([name, kind]) => kinds[name] !== undefined && jsonType(kinds[name]) !== jsonType(kind),
  )?.[0];
}

/** Whether a predictor would gain event patterns, or features, by which earlier events may concern it. */
interface NewRules {
  readonly patterns: boolean;
  readonly features: boolean;
}

/**
 * Returns whether a predictor would gain rules by serving a version.
 * @param definition the definition of a version to be served
 * @param patterns the LIKE patterns of event types; absent: unchanged
 */
export async function findNewRules(
  db: Db,
  definition: ModelDefinition,
  patterns: readonly string[] = [],
): Promise<NewRules> {
  const rows = await query<NewRules>(db, {
    text: `select not $3::text[] <@ event_patterns as patterns,
        not $2::text[] <@ array(select jsonb_object_keys(event_features)) as features
      from tandem.predictors where name = $1`,
    values: [definition.predictor, Object.keys(eventFeatures(definition)), patterns],
  });
  return rows[0] ?? { patterns: true, features: true };
}

/**
 * Requires that concurrent events know the features of a version that will be served and has no predictions yet.
 * Otherwise throws an error, which `changeEventRules` handles by announcing the features.
 */
export async function requireEventFeatures(db: Db, definition: ModelDefinition): Promise<void> {
  const { predictor } = definition;
  const { features } = await findNewRules(db, definition);
  if (!features) return requireSettled(db, predictor);
  throw new UnsettledRules(async (own) => {
    const known = eventFeatures(definition);
    // The announcement stays even if the change fails: stored predictions of other versions with these features are
    // older.
    if (await isStoredWithNew(own, predictor, Object.keys(known))) await setPatternsPending(own, predictor);
    await query(own, {
      text: 'update tandem.predictors set event_features = $2::jsonb || event_features where name = $1',
      values: [predictor, JSON.stringify(known)],
    });
    await openRules(own, [predictor]);
  });
}

/**
 * Returns whether a version with one of these features already has predictions, although concurrent events may not
 * carry it yet.
 */
async function isStoredWithNew(db: Db, predictor: string, features: readonly string[]): Promise<boolean> {
  const rows = await query(db, {
    text: `select from tandem.predictors p join tandem.model_versions m on m.predictor = p.name,
        jsonb_to_recordset(m.definition -> 'query' -> 'columns') as c(name text)
      where p.name = $1 and c.name = any($2::text[]) and not p.event_features ? c.name
        and (exists (select from tandem.generations g where g.model_version_id = m.id and g.state <> 'dropped')
          or exists (select from tandem.overlay o where o.predictor = p.name and o.model_version_id = m.id))
      limit 1`,
    values: [predictor, features],
  });
  return rows.length > 0;
}

/**
 * Sets a predictor's event features from the adopted version, the versions of its arms, and the versions of generations
 * kept for a rollback. If two versions differ in a feature's kind, the stable version's kind counts.
 */
export async function setEventFeatures(db: Db, predictor: string): Promise<void> {
  const [row] = await query<{ features: Record<string, FeatureKind>; differs: boolean }>(db, {
    text: `select n.features, n.features <> p.event_features as differs
      from tandem.predictors p, lateral (
        select coalesce(jsonb_object_agg(c.name, c.kind order by v.served, v.adopted, v.number), '{}') as features
        from (
          select number, definition -> 'query' as query, id = p.adopted_version_id as adopted,
            exists (select from tandem.arms a where a.predictor = p.name and a.model_version_id = m.id) as served,
            exists (select from tandem.generations g where g.predictor = p.name and g.model_version_id = m.id
              and g.state <> 'dropped') as kept
          from tandem.model_versions m where m.predictor = p.name
        ) v, jsonb_to_recordset(v.query -> 'columns') as c(name text, kind text)
        where (v.served or v.adopted or v.kept) and coalesce(v.query ->> 'asOf', v.query ->> 'overlayForMs') is not null
      ) n where p.name = $1`,
    values: [predictor],
  });
  // Even an update without a changed row raises the revision, so that every process reloads its predictors.
  if (!row?.differs) return;
  const known = statements.updateTable('tandem.predictors').where('name', '=', predictor);
  await changeRows(db, known.set({ event_features: JSON.stringify(row.features) }));
}

// The events' trigger compares event types with LIKE patterns, which are made from the config's glob patterns
// (`order.*`, `?`).

/**
 * Returns the LIKE pattern of a glob pattern: `*` matches any text, `?` one character, and all other characters match
 * themselves.
 */
export function likePatterns(globs: readonly string[]): string[] {
  return globs.map((glob) =>
    glob
      .replaceAll(/[\\%_]/g, '\\$&')
      .replaceAll('*', '%')
      .replaceAll('?', '_'),
  );
}
