import { describe, expect, it } from 'vitest';
import { mayServe, type VersionReadiness } from './processes.ts';

const ready: VersionReadiness = {
  processId: 'a',
  kind: 'api',
  host: 'one',
  pid: 7,
  modelVersionId: 'v2',
  predictor: 'repurchase',
  modelNumber: 2,
  state: 'ready',
  error: null,
};
const failed = { ...ready, host: 'two', pid: 8, state: 'failed' as const, error: 'it took more than 512 MB of memory' };

describe('a version may serve users', () => {
  it('if every API has it ready, or there is no API', () => {
    expect(mayServe([ready, { ...ready, host: 'two' }])).toEqual({ ok: true });
    expect(mayServe([])).toEqual({ ok: true });
  });

  it('not while an API is loading it or failed to load it; each such API is named with the reason', () => {
    expect(mayServe([ready, { ...ready, host: 'three', pid: 9, state: 'loading' }, failed])).toEqual({
      ok: false,
      waiting: ['api 9 on three has not loaded model version 2 of repurchase yet'],
      failed: ['api 8 on two cannot load model version 2 of repurchase: it took more than 512 MB of memory'],
    });
  });

  it('whatever the state of workers and applications with an embedded reader', () => {
    const others = (['worker', 'embedded'] as const).map((kind) => ({ ...failed, kind }));
    expect(mayServe([ready, ...others])).toEqual({ ok: true });
  });
});
