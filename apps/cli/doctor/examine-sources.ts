/** Which sources of what is served are watched, and whether each watch is whole. */
import type { Pool } from '@tandem/admission/sample-users';
import { listWatchedSources } from '@tandem/offline-store/watched-sources';
import { type Finding, warning } from '../output/finding.ts';
import { describeSources } from '../sources/describe-sources.ts';
import { findServedQueries } from '../sources/served-queries.ts';

/** The schema is there, as this release wants it. */
export async function examineSources(pool: Pool): Promise<Finding[]> {
  const watched = await listWatchedSources(pool);
  const findings: Finding[] = [];
  for (const query of await findServedQueries(pool)) {
    const found = await describeSources(pool, query, watched);
    findings.push(...found.map((one) => ({ ...one, subject: `${query.name} ${one.subject}` })));
  }
  const gone = watched.filter(({ name, broken }) => broken.includes(name));
  const leftovers = gone.map(({ name }) =>
    warning('sources', `${name}: the table is gone, its watch is left`, `tandem unwatch ${name}`),
  );
  return [...findings, ...leftovers];
}
