/** How the database's schema stands to this release. */
import { schemaState } from '@tandem/offline-store/migrate';
import { type Finding, failed, ok, warning } from '../output/finding.ts';

export async function examineSchema(pool: Parameters<typeof schemaState>[0]): Promise<Finding> {
  const { state, applied, pending, unknown } = await schemaState(pool);
  switch (state) {
    case 'current':
      return ok('schema', `up to date, ${applied.length} migrations`);
    case 'ahead':
      return failed('schema', `migrated by a newer release (${unknown.join(', ')})`, 'run that release');
    case 'missing':
    case 'behind':
      return warning('schema', `lacks ${pending.join(', ')}`, 'tandem migrate (tandem up does it too)');
  }
}
