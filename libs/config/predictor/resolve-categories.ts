/** Resolves categories of texts, in both forms that a config allows. */
import type { Categories } from '@tandem/freshness/predictor';

interface SaidCategories {
  readonly values: readonly string[];
  readonly as: Categories['encoding'];
  readonly unknown?: Categories['unknownAs'] | undefined;
}

export function resolveCategories(said: readonly string[] | SaidCategories): Categories {
  if ('values' in said && !Array.isArray(said)) {
    const { values, as: encoding, unknown } = said as SaidCategories;
    return { values, encoding, ...(unknown === undefined ? {} : { unknownAs: unknown }) };
  }
  return { values: said as readonly string[], encoding: 'index' };
}
