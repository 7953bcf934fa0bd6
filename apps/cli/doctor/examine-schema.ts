/** How the database's schema stands to this release. */
import { isTandemError } from '@tandem/freshness/errors';
import { PROTOCOL } from '@tandem/freshness/protocol';
import { schemaState } from '@tandem/offline-store/sql/migrate';
import { type Finding, failed, ok, warning } from '../output/finding.ts';

type Pool = Parameters<typeof schemaState>[0];

export async function examineSchema(pool: Pool): Promise<Finding> {
  try {
    return await judgeSchema(pool);
  } catch (error) {
    if (!isTandemError(error, 'config_invalid')) throw error;
    return failed('schema', error.message, 'give the rights that are named above');
  }
}

async function judgeSchema(pool: Pool): Promise<Finding> {
  const { state, applied, pending, unknown, protocol } = await schemaState(pool);
  switch (state) {
    case 'current':
      return ok('schema', `up to date, ${applied.length} migrations, freshness protocol ${protocol}`);
    case 'other_protocol':
      return failed(
        'schema',
        `follows freshness protocol ${protocol}; this release knows protocol ${PROTOCOL} only`,
        'run the release that migrated the database, or a newer one',
      );
    case 'ahead':
      return failed('schema', `migrated by a newer release (${unknown.join(', ')})`, 'run that release');
    case 'contracted':
      return failed('schema', `a newer release dropped what this one uses (${unknown.join(', ')})`, 'run that release');
    case 'missing':
    case 'behind':
      return warning('schema', `lacks ${pending.join(', ')}`, 'tandem migrate (tandem up does it too)');
  }
}
