/** Moments in JSON: RFC 3339, as CloudEvents has them too. */
import { TandemError } from '@tandem/freshness/errors';

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/** Null where there is none. Throws a TandemError `invalid_input` of that field. */
export function parseTime(value: unknown, field: string): Date | null {
  if (value === undefined || value === null) return null;
  const parts = typeof value === 'string' ? RFC3339.exec(value) : null;
  const time = new Date(parts ? String(value).toUpperCase() : Number.NaN);
  // Date rolls 30 February over into March: the day that went in must come out.
  const day = Number(parts?.[3]);
  const month = Number(parts?.[2]);
  const exists = day >= 1 && day <= new Date(Date.UTC(2000 + (Number(parts?.[1]) % 400), month, 0)).getUTCDate();
  if (!Number.isNaN(time.getTime()) && exists) return time;
  throw new TandemError('invalid_input', `${field}: the time is not an RFC 3339 timestamp.`, {
    field,
    remedy: 'send one such as 2026-11-24T02:00:11Z, or none',
  });
}
