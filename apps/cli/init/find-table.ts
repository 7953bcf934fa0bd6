/** Finds the table or view of a name from the command line, where shells often remove the quotes. */
import { nearestName } from '@tandem/config/predictor/config-problem';

export interface Relation {
  readonly schema: string;
  readonly name: string;
  /** Whether the search path finds the table without its schema. */
  readonly visible: boolean;
  readonly readable: boolean;
}

/**
 * Returns the relation or a hint. The exact spelling has priority, then the folded spelling of Postgres, then any case.
 */
export function findTable<T extends Relation>(
  said: string,
  relations: readonly T[],
): { found: T } | { remedy: string } {
  const parts = splitName(said);
  if (parts === null) return { remedy: 'write it as name or schema.name' };
  const [name = '', schema] = parts.reverse();
  const inSchema = (one: T, same: Same) => (schema === undefined ? one.visible : same(one.schema, schema));
  for (const same of SAMENESS) {
    const found = relations.filter((one) => same(one.name, name) && inSchema(one, same));
    if (found.length === 1 && found[0]) return { found: found[0] };
  }
  const elsewhere = relations.filter((one) => schema === undefined && SAMENESS[2](one.name, name));
  if (elsewhere.length > 0) return { remedy: `write it with its schema: ${elsewhere.map(spell).join(' or ')}` };
  return { remedy: hint(said, relations) };
}

type Same = (a: string, b: string) => boolean;
const SAMENESS: readonly [Same, Same, Same] = [
  (a, b) => a === b,
  (a, b) => a === b.toLowerCase(),
  (a, b) => a.toLowerCase() === b.toLowerCase(),
];

/** Returns the parts of a name such as `"My schema".t` without quotes; null if it is not a name. */
function splitName(said: string): string[] | null {
  const parts = said.match(/"(?:[^"]|"")+"|[^".]+/g) ?? [];
  if (parts.length === 0 || parts.length > 2 || parts.join('.') !== said) return null;
  return parts.map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part));
}

function spell({ schema, name, visible }: Relation): string {
  return visible ? name : `${schema}.${name}`;
}

function hint(said: string, relations: readonly Relation[]): string {
  const known = relations.map(spell);
  const meant = nearestName(said, known);
  if (meant !== undefined) return `did you mean ${meant}?`;
  if (known.length === 0)
    return 'this database has no tables; check its address (DATABASE_URL, or that of the `tandem up` in this folder)';
  return `the tables and views are ${known.slice(0, 20).join(', ')}${known.length > 20 ? ', …' : ''}`;
}
