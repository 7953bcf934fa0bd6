/** Which API keys an API refuses though they are valid: those stored under another pepper than its own. */
import { type ApiKey, listApiKeys } from '@tandem/offline-store/api-keys';
import type { Cli } from '../command-line/cli.ts';
import { knownPepperId, withKeys } from '../keys/open-keys.ts';
import { type Finding, warning } from '../output/finding.ts';
import { count } from '../output/quantities.ts';

/** Most that are named. */
const NAMED = 3;

/** Nothing where all keys are of one pepper: the one that is known here, else that of the newest key. */
export async function examineKeys(cli: Cli): Promise<Finding[]> {
  const known = knownPepperId(cli);
  const keys = (await withKeys(cli, listApiKeys)).filter(({ state }) => state === 'active' || state === 'rotating');
  const foreign = keys.filter(({ pepperId }) => pepperId !== (known ?? keys[0]?.pepperId));
  return foreign.length === 0 ? [] : [ofAnotherPepper(foreign, known === null ? 'the newest key' : 'API_KEY_PEPPER')];
}

function ofAnotherPepper(keys: readonly ApiKey[], own: string): Finding {
  const ids = keys.slice(0, NAMED).map(({ id }) => id);
  const which = `${ids.join(', ')}${keys.length > NAMED ? ', …' : ''}`;
  const many = keys.length === 1 ? '1 key is' : `${count(keys.length)} keys are`;
  return warning(
    'keys',
    `${many} stored under another pepper than ${own} (${which}): an API refuses keys of another pepper than its own`,
    'rotate them under the pepper that every API has (tandem key rotate <id>), or revoke them',
  );
}
