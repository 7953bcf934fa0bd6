/**
 * What the events' trigger reads of predictors: which event types concern each, and which feature names. How these
 * rules change while events are under way: rule-changes.ts.
 */
import type { FeatureKind, ModelDefinition } from '@tandem/freshness/predictor';
import { type Db, query } from '../sql/database.ts';
import { changeRows, statements } from '../sql/statements.ts';
import { openRules, requireSettled, setPatternsPending, UnsettledRules } from './rule-changes.ts';

// What an event's data may carry for a predictor: the features of every model version that it may serve without a new
// run. Were it those of the newest alone, a rollback would serve a version whose values the events since have lost.

/** Of one version: its features, where its query says until when an event's value counts. */
export function eventFeatures({
  query: { columns, asOf, overlayForMs },
}: ModelDefinition): Record<string, FeatureKind> {
  if (asOf === null && overlayForMs === null) return {};
  return Object.fromEntries(columns.map(({ name, kind }) => [name, kind]));
}

/**
 * The first feature that one version takes from events as another type of JSON than the other does; undefined: there is
 * none.
 */
export function conflictingFeature(one: ModelDefinition, other: ModelDefinition): string | undefined {
  const kinds = eventFeatures(other);
  const jsonType = (kind: FeatureKind | undefined) => (kind === 'integer' ? 'number' : kind);
  return Object.entries(eventFeatures(one)).find(
    ([name, kind]) => kinds[name] !== undefined && jsonType(kinds[name]) !== jsonType(kind),
  )?.[0];
}

/** Which rules a predictor would get that it has not: by them, events of before may concern it after all. */
interface NewRules {
  readonly patterns: boolean;
  readonly features: boolean;
}

/**
 * @param definition of a version that is to be served
 * @param patterns LIKE patterns of event types; none where they stay as they are
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
 * Requires that events under way know the features of a version that is to be served, of which nothing is stored yet.
 * Throws what `changeEventRules` answers by announcing them.
 */
export async function requireEventFeatures(db: Db, definition: ModelDefinition): Promise<void> {
  const { predictor } = definition;
  const { features } = await findNewRules(db, definition);
  if (!features) return requireSettled(db, predictor);
  throw new UnsettledRules(async (own) => {
    const known = eventFeatures(definition);
    // The announcement stays, whatever becomes of the change: what other versions with these features have stored is
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
 * Whether predictions are stored of a version that has one of these features, which events are not known to carry yet.
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
 * Sets a predictor's event features from the version adopted, those of its arms, and those of generations that are kept
 * for a rollback. Where two differ in a feature's kind, the one that is served counts.
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
  // Even an update of no row raises the revision, at which every process loads its predictors again.
  if (!row?.differs) return;
  const known = statements.updateTable('tandem.predictors').where('name', '=', predictor);
  await changeRows(db, known.set({ event_features: JSON.stringify(row.features) }));
}

// A config's glob patterns of event types (`order.*`, `?`) as the LIKE patterns that the events' trigger compares with.

/** `*` is any text, `?` one character; everything else stands for itself. */
export function likePatterns(globs: readonly string[]): string[] {
  return globs.map((glob) =>
    glob
      .replaceAll(/[\\%_]/g, '\\$&')
      .replaceAll('*', '%')
      .replaceAll('?', '_'),
  );
}
