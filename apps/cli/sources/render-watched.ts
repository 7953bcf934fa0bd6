/** A line for a table that is watched now. */
import type { Watched } from '@tandem/offline-store/sources/watch-source';
import { printable } from '../output/table.ts';

export function renderWatched({ name, key, predictors }: Watched): string {
  const whose = key === null ? 'a change concerns every user' : `by ${key}`;
  return printable(`${name}: watched for ${predictors.join(', ')}, ${whose}`);
}
