/** Compares the schema of the database with this release. */

import { type Finding, failed, ok, warning } from '@tandem/commands/output/finding';
import { counted } from '@tandem/commands/output/text';
import { isTandemError } from '@tandem/freshness/errors';
import { protocolUnknown } from '@tandem/freshness/protocol';
import { schemaState } from '@tandem/offline-store/sql/migrate';

type Pool = Parameters<typeof schemaState>[0];

export async function examineSchema(pool: Pool): Promise<Finding> {
  try {
    return await judgeSchema(pool);
  } catch (error) {
    if (!isTandemError(error, 'config_invalid')) throw error;
    return failed('schema', error.message, 'grant the rights that are named above');
  }
}

const RUN_IT = 'run that release';

async function judgeSchema(pool: Pool): Promise<Finding> {
  const { state, applied, pending, unknown, protocol } = await schemaState(pool);
  switch (state) {
    case 'current':
      return ok('schema', `up to date, ${counted(applied.length, 'migration')}, freshness protocol ${protocol}`);
    case 'other_protocol': {
      const { message, remedy = '' } = protocolUnknown(protocol ?? 0);
      return failed('schema', message, remedy);
    }
    case 'ahead':
      return failed('schema', `migrated by a newer release (${unknown.join(', ')})`, RUN_IT);
    case 'contracted':
      return failed('schema', `a newer release dropped objects that this release uses (${unknown.join(', ')})`, RUN_IT);
    case 'missing':
    case 'behind':
      return warning('schema', `lacks ${pending.join(', ')}`, 'run tandem migrate (tandem up does this too)');
  }
}
