/** API keys as people read them. */
import type { ApiKey, ApiKeyWithText } from '@tandem/offline-store/api-keys';
import type { Paint, Tone } from '../command-line/command.ts';
import { ago, moment } from '../output/quantities.ts';
import { printable, renderFields, renderTable } from '../output/table.ts';

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
  return renderTable(
    titles.map((title) => ({ title })),
    rows,
  );
}

/** A key that was made just now: its text alone on a line, to be copied. */
export function renderNewKey(key: ApiKeyWithText, paint: Paint): string[] {
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
    'It is shown this once. Send it as Authorization: Bearer <key>; every process knows it within 5 s.',
    ...(key.previousUntil === null ? [] : [`The secret before is accepted until ${moment(key.previousUntil)} UTC.`]),
  ];
}

function limitsOf({ requestsPerSecond, livePerSecond }: ApiKey): string {
  const parts = [
    requestsPerSecond === null ? '' : rateOf(requestsPerSecond, 'requests'),
    livePerSecond === null ? '' : rateOf(livePerSecond, 'live'),
  ].filter((part) => part !== '');
  return parts.join(', ') || 'none';
}

function endOf({ state, expiresAt, revokedAt }: ApiKey): string {
  if (state === 'revoked') return `revoked ${moment(revokedAt)}`;
  return expiresAt === null ? 'never' : moment(expiresAt);
}

/** As `--rate` takes it: so many a minute where it is less than one a second. */
function rateOf(perSecond: number, what: string): string {
  const [amount, unit] = perSecond < 1 ? [perSecond * 60, 'm'] : [perSecond, 's'];
  return `${Math.round(amount * 1000) / 1000} ${what}/${unit}`;
}
