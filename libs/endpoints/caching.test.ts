import { describe, expect, it } from 'vitest';
import { NO_DIRECTIVES, parseCacheControl } from './caching.ts';

describe('parseCacheControl', () => {
  it('demands nothing without a header', () => {
    expect(parseCacheControl(null)).toBe(NO_DIRECTIVES);
    expect(parseCacheControl('')).toBe(NO_DIRECTIVES);
  });

  it('reads every freshness directive, in any case and spacing', () => {
    expect(parseCacheControl('No-Cache')).toEqual({ ...NO_DIRECTIVES, noCache: true });
    expect(parseCacheControl(' only-if-cached ,max-stale')).toEqual({
      ...NO_DIRECTIVES,
      onlyIfCached: true,
      maxStale: Number.POSITIVE_INFINITY,
    });
    expect(parseCacheControl('max-age=60, max-stale="30"')).toEqual({ ...NO_DIRECTIVES, maxAge: 60, maxStale: 30 });
    expect(parseCacheControl('max-age=0').maxAge).toBe(0);
    expect(parseCacheControl('min-fresh=5, min-fresh=60')).toEqual({ ...NO_DIRECTIVES, minFresh: 60 });
  });

  it('takes the stricter of two ages, and caps values that are too large', () => {
    expect(parseCacheControl('max-age=60, max-age=10').maxAge).toBe(10);
    expect(parseCacheControl('max-age=99999999999').maxAge).toBe(2 ** 31);
  });

  it('ignores unknown directives, including those with quoted commas', () => {
    expect(parseCacheControl('no-store, x="a, no-cache", no-transform, ,')).toEqual(NO_DIRECTIVES);
  });

  it.each([
    'max-age',
    'max-age=',
    'max-age=-1',
    'max-age=1.5',
    'max-stale=soon',
    'min-fresh',
    'a b',
    '"',
    'no-cache, only-if-cached',
  ])('rejects %j and names the header', (header) => {
    expect(() => parseCacheControl(header)).toThrow(
      expect.objectContaining({ code: 'malformed_request', field: 'Cache-Control' }),
    );
  });
});
