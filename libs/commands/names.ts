/** Compares names in different spellings: `TotalCharges`, `total_charges`, `totalcharges`. */
import { nearestName } from '@tandem/config/predictor/config-problem';
import { canNameFeature } from '@tandem/config/predictor/feature-name';

/** Returns the letters and digits of a name in lower case, which all spellings of the name share. */
export function bareName(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
}

/** Returns the name with this spelling, or else the only name that differs just in case, `_` and spaces. */
export function findByName<T extends { readonly name: string }>(name: string, all: readonly T[]): T | undefined {
  const exact = all.find((one) => one.name === name);
  if (exact) return exact;
  const alike = all.filter((one) => bareName(one.name) === bareName(name));
  return alike.length === 1 ? alike[0] : undefined;
}

/** Returns `did you mean user_id?`, or the names of the columns if none is similar. */
export function suggestion(name: string, known: readonly string[]): string {
  const meant = nearestName(name, known);
  if (meant !== undefined) return `did you mean ${meant}?`;
  const listed = known.slice(0, 20).join(', ');
  return known.length === 0 ? 'there are no columns' : `the columns are ${listed}${known.length > 20 ? ', …' : ''}`;
}

/**
 * Returns the name of a feature in the query: the wanted name if it is a valid column name, otherwise that of the
 * column.
 */
export function featureName(wanted: string, column: string): string {
  return [wanted, column].find(canNameFeature) ?? `${column}_feature`;
}
