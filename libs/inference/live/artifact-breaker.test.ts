import { TandemError } from '@tandem/freshness/errors';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { type ArtifactBreaker, createArtifactBreaker } from './artifact-breaker.ts';

const bad = { artifactHash: 'bad', predictor: 'churn' };
const good = { artifactHash: 'good', predictor: 'repurchase' };

let clock: number;
let told: string[];
let breaker: ArtifactBreaker;

beforeEach(() => {
  clock = 0;
  told = [];
  breaker = createArtifactBreaker({
    now: () => clock,
    log: (event, { restMs }) => told.push(restMs === undefined ? event : `${event} ${restMs}`),
    onRest: (predictor) => told.push(predictor),
  });
});

/** Records an immediate crash. Returns whether the model is paused now. */
const crash = () => breaker.died(bad, 0, 'signal SIGSEGV') !== undefined;
const isPermitted = (asked = bad) => !(breaker.permit(asked) instanceof TandemError);

function crashUntilPaused(): number {
  for (let crashes = 1; crashes <= 100; crashes++) if (crash()) return crashes;
  throw new Error('it is never paused');
}

describe('the breaker of an artifact', () => {
  it('pauses a model that keeps crashing, logs it, and pauses no other model', () => {
    expect(crashUntilPaused()).toBe(14);
    const refusal = breaker.permit(bad);
    expect(refusal).toMatchObject({ code: 'unavailable', retryAfter: 1, remedy: expect.stringContaining('roll back') });
    expect(String(refusal)).toContain(
      'the model of churn is paused because it keeps ending its process (signal SIGSEGV)',
    );
    expect(isPermitted(good)).toBe(true);
    expect([breaker.paused(), told]).toEqual([1, ['inference.model_rests 1000', 'churn']]);
  });

  it('counts the lost time: two runs that never end are enough', () => {
    expect(breaker.died(bad, 1_050, 'deadline')).toBeUndefined();
    expect(breaker.died(bad, 1_050, 'deadline')).toBeInstanceOf(TandemError);
  });

  it('tolerates an occasional crash', () => {
    for (let i = 0; i < 100; i++) {
      clock += 4_000;
      expect(crash()).toBe(false);
    }
    expect([isPermitted(), breaker.paused()]).toEqual([true, 0]);
  });

  it('lets one request through after the pause, and the others after it was answered', () => {
    crashUntilPaused();
    clock += 999;
    expect(isPermitted()).toBe(false);
    clock += 1;
    expect(breaker.permit(bad)).toEqual({ isProbe: true });
    expect(isPermitted()).toBe(false);
    breaker.lived(bad);
    expect(breaker.permit(bad)).toEqual({ isProbe: false });
    expect(told.at(-1)).toBe('inference.model_works_again');
  });

  it('pauses twice as long after each failed probe, for at most a minute', () => {
    crashUntilPaused();
    const pauses = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
    for (const ms of pauses) {
      clock += ms - 1;
      expect(isPermitted()).toBe(false);
      clock += 1;
      expect(breaker.permit(bad)).toEqual({ isProbe: true });
      expect(crash()).toBe(true);
    }
  });

  it('does not pause longer after each probe that was killed from outside', () => {
    const pauses: number[] = [];
    const kill = () => breaker.died(bad, null, 'was killed (SIGKILL)');
    while (isPermitted()) kill();
    for (let i = 0; i < 8; i++) {
      const from = clock;
      while (!isPermitted()) clock += 100;
      pauses.push(clock - from);
      kill();
    }
    expect(pauses).toEqual(Array.from({ length: 8 }, () => 1_000));
  });

  it('pauses longer once a model was killed many times, since the kernel may kill it for lack of memory', () => {
    let last = 0;
    for (let i = 0; i < 60; i++) {
      const from = clock;
      while (!isPermitted()) clock += 100;
      last = clock - from;
      breaker.died(bad, null, 'was killed (SIGKILL)');
    }
    expect(last).toBeGreaterThan(10_000);
  });

  it('makes the next request the probe if the probe decided nothing', () => {
    crashUntilPaused();
    clock += 1_000;
    expect(isPermitted()).toBe(true);
    breaker.undecided(bad);
    expect(breaker.permit(bad)).toEqual({ isProbe: true });
  });

  it('starts again with a short pause after a time without failures', () => {
    crashUntilPaused();
    clock += 1_000;
    breaker.permit(bad);
    breaker.lived(bad);
    clock += 20_001;
    breaker.lived(bad);
    crashUntilPaused();
    expect(told.filter((text) => text.startsWith('inference.model_rests'))).toEqual([
      'inference.model_rests 1000',
      'inference.model_rests 1000',
    ]);
  });

  it('never pauses a model for longer than a minute, whatever its failures', () => {
    const act = fc.oneof(
      fc.record({ kind: fc.constant('died' as const), ms: fc.nat(5_000) }),
      fc.record({
        kind: fc.constantFrom('lived' as const, 'undecided' as const, 'permit' as const),
        ms: fc.nat(100_000),
      }),
    );
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const one = createArtifactBreaker({ now: () => clock, log: () => {}, onRest: () => {} });
        for (const { kind, ms } of acts) {
          clock += ms;
          if (kind === 'died') one.died(bad, ms, 'x');
          else one[kind](bad);
        }
        // Every probe in progress ends at some time.
        one.undecided(bad);
        clock += 60_000;
        expect(one.permit(bad)).not.toBeInstanceOf(TandemError);
      }),
    );
  });
});
