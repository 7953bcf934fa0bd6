/** `tandem key`: creates, lists, limits, rotates and revokes API keys. The text of a key is shown once. */

import { Option } from '@commander-js/extra-typings';
import { type Cli, createCommand, given, group, type Paint, present, type Tone } from '@tandem/commands/command';
import { usageError } from '@tandem/commands/failure';
import { ago, moment, printable, renderFields, renderTable } from '@tandem/commands/output/text';
import type { ApiKey, ApiKeyWithText, KeyLimits } from '@tandem/offline-store/api-keys';
import { SCOPES } from '@tandem/prediction/keys/api-key';
import { findPepper, withKeys } from './open-keys.ts';
import {
  NEW_USERS_A_DAY,
  parseGrace,
  parseName,
  parseNewUsers,
  parseRate,
  parseScopes,
  parseSpan,
} from './parse-key-options.ts';

export function keyCommands(cli: Cli) {
  return group('key', 'API keys and their scopes', [
    keyCreateCommand(cli),
    keyListCommand(cli),
    keyLimitCommand(cli),
    keyRotateCommand(cli),
    keyRevokeCommand(cli),
  ]);
}

interface LimitOptions {
  readonly rate?: number;
  readonly liveRate?: number;
  readonly newUsers?: number;
}

const RATE = ['--rate <rate>', 'the limit of requests, such as 100/s, or none', parseRate] as const;
const LIVE_RATE = ['--live-rate <rate>', 'the limit of users inferred live, such as 20/s, or none', parseRate] as const;
const NEW_USERS = [
  '--new-users <rate>',
  'the limit of users that its events make known, such as 50000/d, or none',
] as const;

/** Returns the limits that are given; null for `none`. */
function limitsFrom({ rate, liveRate, newUsers }: LimitOptions): Partial<KeyLimits> {
  const limit = (rate?: number) => (rate === Number.POSITIVE_INFINITY ? null : rate);
  return given({ requestsPerSecond: limit(rate), livePerSecond: limit(liveRate), newUsersPerDay: limit(newUsers) });
}

function keyCreateCommand(cli: Cli) {
  return createCommand({
    name: 'create',
    description: 'create an API key in DATABASE_URL; its text is shown once',
    detail: `Scopes: ${SCOPES.join(', ')}; all means all of these. Rates (default: none) apply to each API process separately,
--new-users to all together.`,
    example: 'tandem key create --name shop --scopes predictions:read,events:write --expires 90d --rate 100/s',
  })
    .requiredOption('--name <name>', 'the application that will use it', parseName)
    .requiredOption('--scopes <list>', 'the scopes, separated by commas, or all', parseScopes)
    .option('--expires <span>', 'how long the key is valid, such as 90d (default: until it is revoked)', parseSpan)
    .option(...RATE)
    .option(...LIVE_RATE)
    .addOption(new Option(...NEW_USERS).argParser(parseNewUsers).default(NEW_USERS_A_DAY, `${NEW_USERS_A_DAY}/d`))
    .option('--test', 'begin the key with tandem_test_ instead of tandem_live_, for people and secret scanners')
    .action(async (options) => {
      const pepper = findPepper(cli);
      const { insertApiKey } = await import('@tandem/offline-store/api-keys');
      const key = {
        name: options.name,
        kind: options.test ? ('test' as const) : ('live' as const),
        scopes: options.scopes,
        expiresInMs: options.expires ?? null,
        ...{ requestsPerSecond: null, livePerSecond: null, newUsersPerDay: null },
        ...limitsFrom(options),
      };
      const made = await withKeys(cli, (pool) => insertApiKey(pool, key, pepper));
      present(cli, options, made, () => renderNewKey(made, cli.paint));
    });
}

function keyListCommand(cli: Cli) {
  return createCommand({
    name: 'list',
    description: 'list API keys, newest first',
    example: 'tandem key list --all',
  })
    .option('--all', 'also list expired and revoked keys (kept for 90 days)')
    .action(async (options) => {
      const { listApiKeys } = await import('@tandem/offline-store/api-keys');
      const all = await withKeys(cli, listApiKeys);
      const keys = options.all ? all : all.filter(({ state }) => state === 'active' || state === 'rotating');
      present(cli, options, { keys }, () => renderKeys(keys, cli.paint, cli.now()));
    });
}

function keyLimitCommand(cli: Cli) {
  return createCommand({
    name: 'limit',
    description: 'change limits of a key; those that are not given stay',
    detail: 'Rates apply within 5 s in every process of the API, --new-users at once.',
    example: 'tandem key limit 3f9c2b7e01d4a586 --new-users 50000/d --rate none',
  })
    .argument('<id>')
    .option(...RATE)
    .option(...LIVE_RATE)
    .option(...NEW_USERS, parseNewUsers)
    .action(async (id, options) => {
      const limits = limitsFrom(options);
      if (Object.keys(limits).length === 0)
        throw usageError('no limit is given', 'set --rate, --live-rate or --new-users');
      const { limitApiKey } = await import('@tandem/offline-store/api-keys');
      const key = await withKeys(cli, (pool) => limitApiKey(pool, id, limits));
      present(cli, options, key, () => [`key ${key.id} (${printable(key.name)}): limits: ${limitsOf(key)}`]);
    });
}

const GRACE_MS = 24 * 3_600_000;

function keyRotateCommand(cli: Cli) {
  return createCommand({
    name: 'rotate',
    description: 'give a key a new secret, which is shown once; id, scopes, limits and expiry stay',
    example: 'tandem key rotate 3f9c2b7e01d4a586 --grace 24h',
  })
    .argument('<id>')
    .addOption(
      new Option('--grace <span>', 'how long the old secret is still accepted; 0: not at all')
        .argParser(parseGrace)
        .default(GRACE_MS, '24h'),
    )
    .option('--drop-previous', 'also end the grace period of an earlier rotation')
    .action(async (id, options) => {
      const pepper = findPepper(cli);
      const { rotateApiKey } = await import('@tandem/offline-store/api-keys');
      const rotation = { graceMs: options.grace, dropPrevious: options.dropPrevious === true };
      const key = await withKeys(cli, (pool) => rotateApiKey(pool, id, rotation, pepper));
      present(cli, options, key, () => renderNewKey(key, cli.paint));
    });
}

function keyRevokeCommand(cli: Cli) {
  return createCommand({
    name: 'revoke',
    description: 'revoke a key with both its secrets; every process of the API rejects it within 5 s',
    example: 'tandem key revoke 3f9c2b7e01d4a586',
  })
    .argument('<id>')
    .action(async (id, options) => {
      const { revokeApiKey } = await import('@tandem/offline-store/api-keys');
      const key = await withKeys(cli, (pool) => revokeApiKey(pool, id));
      present(cli, options, key, () => [
        `key ${key.id} (${printable(key.name)}) is revoked; every API process rejects it within 5 s`,
      ]);
    });
}

const TONES: Readonly<Record<ApiKey['state'], Tone>> = {
  active: 'good',
  rotating: 'warn',
  expired: 'faint',
  revoked: 'faint',
};

export function renderKeys(keys: readonly ApiKey[], paint: Paint, now: number): string[] {
  if (keys.length === 0) return ['no key; make one: tandem key create --name … --scopes predictions:read'];
  const titles = ['id', 'name', 'kind', 'state', 'scopes', 'limits', 'made', 'expires'];
  const rows = keys.map((key) => [
    key.id,
    printable(key.name),
    key.kind,
    paint(TONES[key.state], key.state),
    key.scopes.join(', '),
    limitsOf(key),
    ago(key.createdAt, now),
    endOf(key),
  ]);
  return renderTable(titles, rows);
}

/** Renders a new key, with its text alone on a line, so that it can be copied. */
function renderNewKey(key: ApiKeyWithText, paint: Paint): string[] {
  return [
    paint('strong', key.key),
    '',
    ...renderFields([
      ['id', key.id],
      ['name', printable(key.name)],
      ['scopes', key.scopes.join(', ')],
      ['limits', limitsOf(key)],
      ['expires', endOf(key)],
    ]),
    '',
    'The key is shown only once. Send it as Authorization: Bearer <key>; every API process accepts it within 5 s.',
    ...(key.previousUntil === null ? [] : [`The previous secret is accepted until ${moment(key.previousUntil)} UTC.`]),
  ];
}

function limitsOf({ scopes, requestsPerSecond, livePerSecond, newUsersPerDay }: ApiKey): string {
  const parts = [
    requestsPerSecond === null ? '' : rateOf(requestsPerSecond, 'requests'),
    livePerSecond === null ? '' : rateOf(livePerSecond, 'live'),
    // Only events make users known.
    newUsersPerDay === null || !scopes.includes('events:write') ? '' : `${newUsersPerDay} new users/d`,
  ].filter((part) => part !== '');
  return parts.join(', ') || 'none';
}

function endOf({ state, expiresAt, revokedAt }: ApiKey): string {
  if (state === 'revoked') return `revoked ${moment(revokedAt)}`;
  return expiresAt === null ? 'never' : moment(expiresAt);
}

/** Renders a rate in the form of `--rate`, as a number per minute if it is below one per second. */
function rateOf(perSecond: number, what: string): string {
  const [amount, unit] = perSecond < 1 ? [perSecond * 60, 'm'] : [perSecond, 's'];
  return `${Math.round(amount * 1000) / 1000} ${what}/${unit}`;
}
