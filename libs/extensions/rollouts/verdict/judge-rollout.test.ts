import {
  drawBinomial,
  drawMultinomial,
  mostOf,
  type Random,
  randomFrom,
} from '@tandem/experiment/distributions/draws.fixture';
import { describe, expect, it } from 'vitest';
import { compareOutcome } from './compare-outcome.ts';
import { judgeRollout } from './judge-rollout.ts';
import type { ArmFigures, JudgingRules, RolloutFigures } from './rollout-figures.ts';

const HOUR = 3_600_000;
const rules: JudgingRules = {
  minStepMs: HOUR,
  minUsers: 200,
  alpha: 0.05,
  guardrails: { errorRate: 0.01, slowShare: 0.02, liveShare: 0.05, psi: 0.2 },
  outcomes: [],
};
const scores = [100, 200, 400, 200, 100];

/** Returns the figures of a healthy arm, with this number of users and five reads for each. */
function arm(name: string, weight: number, users: number, other: Partial<ArmFigures> = {}): ArmFigures {
  const reads = 5 * users;
  return {
    name,
    weight,
    users,
    reads,
    errors: reads * 0.001,
    slow: reads * 0.005,
    sources: { batch: reads * 0.9, live: reads * 0.1 },
    scores: scores.map((count) => (count * reads) / 1_000),
    outcomes: {},
    ...other,
  };
}

function step(candidate: Partial<ArmFigures> = {}, users = 4_000, stable: Partial<ArmFigures> = {}): RolloutFigures {
  return {
    elapsedMs: 2 * HOUR,
    steps: 4,
    stable: arm('stable', 7_500, 3 * users, stable),
    arms: [arm('candidate', 2_500, users, candidate)],
  };
}

const stateOf = (figures: RolloutFigures, name: string, by = rules) =>
  judgeRollout(figures, by).checks.find((check) => check.name === name)?.state;

const NONE = { users: 0, sum: 0, sumOfSquares: 0 };
const sampleOf = (users: number, share: number) => ({ users, sum: users * share, sumOfSquares: users * share });

describe('a rollout', () => {
  it('advances when every guardrail is proven not to be worse', () => {
    const { verdict, reason, checks } = judgeRollout(step(), rules);
    expect([verdict, reason]).toEqual(['promote', 'not_worse']);
    expect(checks.map((check) => [check.name, check.state])).toEqual(
      ['traffic', 'users', 'sampleRatio', 'sources', 'errorRate', 'slowShare', 'liveShare', 'psi', 'duration'].map(
        (name) => [name, 'pass'],
      ),
    );
  });

  it('does not advance before the minimum duration of the step', () => {
    const { verdict, reason } = judgeRollout({ ...step(), elapsedMs: HOUR - 1 }, rules);
    expect([verdict, reason]).toEqual(['hold', 'step_too_short']);
  });

  it('holds without traffic', () => {
    for (const silent of [{ users: 0 }, { reads: 0 }]) {
      const { verdict, reason, why } = judgeRollout(step(silent), rules);
      expect([verdict, reason]).toEqual(['hold', 'no_traffic']);
      expect(why).toContain('candidate');
    }
    expect(judgeRollout({ ...step(), arms: [] }, rules).reason).toBe('no_traffic');
  });

  it('holds with very few users, whatever their results', () => {
    const { verdict, reason, why, checks } = judgeRollout(step({ reads: 2, errors: 1 }, 2), rules);
    expect([verdict, reason]).toEqual(['hold', 'too_few_users']);
    expect(why).toContain('2 in candidate');
    expect(checks.map((check) => check.name)).toEqual(['traffic', 'users']);
  });

  it('is not judged by very few users, even if the plan sets no minimum', () => {
    const strict = { errorRate: 0.0001, slowShare: null, liveShare: null, psi: null };
    const hasty = { ...rules, minUsers: 0, alpha: 0.5, guardrails: strict };
    for (const users of [1, 2, 10, 19])
      for (const errors of [0, 1, users]) {
        const alone = step({ users, reads: users, errors, sources: { live: users } }, 3_000);
        expect(judgeRollout(alone, hasty)).toMatchObject({ verdict: 'hold', reason: 'too_few_users' });
        expect(judgeRollout(step({ reads: users, errors }), hasty).reason).toBe('too_few_users');
      }
    const enough = step({ users: 30, reads: 30, errors: 30, sources: { live: 30 } }, 30, { errors: 0 });
    expect(judgeRollout(enough, hasty).verdict).toBe('roll_back');
  });

  it('holds if nothing is proven', () => {
    const { verdict, reason } = judgeRollout(step({ errors: 5 * 4_000 * 0.01 }), rules);
    expect([verdict, reason]).toEqual(['hold', 'inconclusive']);
  });
});

describe('a guardrail that is proven worse', () => {
  it.each([
    ['errorRate', { errors: 5 * 4_000 * 0.05 }],
    ['slowShare', { slow: 5 * 4_000 * 0.08 }],
    ['liveShare', { sources: { batch: 5 * 4_000 * 0.7, live: 5 * 4_000 * 0.3 } }],
    ['psi', { scores: [400, 300, 200, 80, 20].map((count) => count * 20) }],
  ])('%s rolls back the rollout', (name, worse) => {
    const { verdict, reason, checks } = judgeRollout(step(worse), rules);
    expect([verdict, reason]).toEqual(['roll_back', 'guardrail_worse']);
    const check = checks.find((one) => one.name === name);
    expect(check?.state).toBe('fail');
    expect(check?.figures.lower).toBeGreaterThan(check?.figures.margin ?? Number.NaN);
    expect(check?.figures.worse?.eValue).toBeGreaterThanOrEqual(check?.figures.worse?.needed ?? Number.NaN);
    // 0.05, divided by four guardrails and four steps.
    expect(check?.figures.worse?.needed).toBeCloseTo(16 / 0.05, 8);
  });

  it('rolls it back before the minimum duration of the step', () => {
    const figures = { ...step({ errors: 5 * 4_000 * 0.05 }), elapsedMs: 0 };
    expect(judgeRollout(figures, rules).verdict).toBe('roll_back');
  });

  it('only reports a shift of the scores if the plan sets no limit for it', () => {
    const told = { ...rules, guardrails: { ...rules.guardrails, psi: null } };
    const shifted = step({ scores: [400, 300, 200, 80, 20].map((count) => count * 20) });
    const { verdict, checks } = judgeRollout(shifted, told);
    expect(verdict).toBe('promote');
    expect(checks.find((one) => one.name === 'psi')).toMatchObject({
      guardrail: false,
      state: 'fail',
      figures: { margin: 0.25 },
      why: expect.stringContaining('reported only'),
    });
  });

  it('is not checked if the plan does not set it', () => {
    const none = { errorRate: null, slowShare: null, liveShare: null, psi: null };
    const { verdict, checks } = judgeRollout(step({ errors: 5 * 4_000 }), { ...rules, guardrails: none });
    expect(verdict).toBe('promote');
    expect(checks.some((check) => check.guardrail)).toBe(false);
  });

  it('shares alpha with the other guardrails, arms and steps', () => {
    const figures = { ...step(), arms: [arm('a', 1_250, 2_000), arm('b', 1_250, 2_000)], steps: 1 };
    const needed = judgeRollout(figures, rules).checks.flatMap((check) =>
      check.guardrail ? [check.figures.worse?.needed] : [],
    );
    expect(needed).toHaveLength(8);
    for (const one of needed) expect(one).toBeCloseTo(8 / 0.05, 8);
  });

  it('cannot be checked if scores are not counted', () => {
    expect(stateOf(step({ scores: [] }, 4_000, { scores: [] }), 'psi')).toBe('skipped');
    expect(judgeRollout(step({ scores: [] }, 4_000, { scores: [] }), rules).verdict).toBe('promote');
    expect(stateOf(step({ scores: [] }), 'psi')).toBe('inconclusive');
  });
});

describe('a broken sample', () => {
  /** A tenth of the candidate's 4,000 users are missing. */
  const broken = { users: 3_600 };

  it('is never promoted', () => {
    const { verdict, reason, checks } = judgeRollout(step(broken), rules);
    expect([verdict, reason]).toEqual(['hold', 'sample_ratio']);
    expect(checks.find((check) => check.name === 'sampleRatio')?.figures.worse?.pValue).toBeLessThan(0.001);
  });

  it('holds if outcomes are worse, since the mismatch may be the cause', () => {
    const sale = { name: 'sale', kind: 'binary', better: 'higher', guardrail: true, minimumEffect: 0.05 } as const;
    const worse = { ...broken, outcomes: { sale: sampleOf(3_600, 0.05) } };
    const figures = step(worse, 4_000, { outcomes: { sale: sampleOf(12_000, 0.1) } });
    expect(judgeRollout(figures, { ...rules, outcomes: [sale] }).reason).toBe('sample_ratio');
  });

  it('is aborted when reads fail, since failed reads may cause the mismatch', () => {
    expect(judgeRollout(step({ ...broken, errors: 5 * 4_000 * 0.2 }), rules).verdict).toBe('roll_back');
  });
});

describe('a candidate with answers from other sources', () => {
  const noLiveGuardrail = { ...rules, guardrails: { ...rules.guardrails, liveShare: null } };
  const sale = { name: 'sale', kind: 'binary', better: 'higher', guardrail: true, minimumEffect: 0.05 } as const;

  it('is flagged and not promoted, although its outcomes are better', () => {
    const better = {
      sources: { batch: 5 * 4_000 * 0.8, live: 5 * 4_000 * 0.2 },
      outcomes: { sale: sampleOf(4_000, 0.14) },
    };
    const figures = step(better, 4_000, { outcomes: { sale: sampleOf(12_000, 0.1) } });
    const by = { ...noLiveGuardrail, outcomes: [sale] };
    const { verdict, reason, why } = judgeRollout(figures, by);
    expect(stateOf(figures, 'outcome:sale', by)).toBe('pass');
    expect([verdict, reason]).toEqual(['hold', 'sources_differ']);
    expect(why).toContain('live (10 % in stable, 20 % in candidate');
  });

  it('is not flagged for a small difference, as with a newer generation', () => {
    const fresher = { sources: { batch: 5 * 400_000 * 0.91, live: 5 * 400_000 * 0.09 } };
    expect(stateOf(step(fresher, 400_000), 'sources')).toBe('pass');
  });

  it('is not flagged if the plan allows it', () => {
    const sources = { batch: 5 * 4_000 * 0.8, live: 5 * 4_000 * 0.2 };
    const allowing = { ...rules, guardrails: { ...rules.guardrails, liveShare: 0.2 } };
    expect(judgeRollout(step({ sources }), allowing).verdict).toBe('promote');
  });
});

describe('a candidate with failing live reads, which fall back to stale answers or defaults', () => {
  const reads = 5 * 4_000;
  const failing = (source: string) => ({ sources: { batch: reads * 0.4, [source]: reads * 0.6 } });
  const stale = { ...rules, guardrails: { ...rules.guardrails, liveShare: null, staleShare: 0.05 } };

  it('is rolled back for the share of stale answers', () => {
    const { verdict, reason, why } = judgeRollout(step(failing('stale')), stale);
    expect([verdict, reason]).toEqual(['roll_back', 'guardrail_worse']);
    expect(why).toContain('stale answers: 60 % in candidate and 0 % in stable');
    expect(judgeRollout(step({ ...failing('stale'), users: 3_600 }), stale).verdict).toBe('roll_back');
  });

  it('is rolled back for the share of defaults', () => {
    const defaults = { ...rules, guardrails: { ...rules.guardrails, liveShare: null, defaultShare: 0.01 } };
    expect(judgeRollout(step(failing('default')), defaults).verdict).toBe('roll_back');
  });

  it('advances if both arms have the same share', () => {
    const alike = { sources: { batch: reads * 0.9, stale: reads * 0.1 } };
    const figures = step(alike, 4_000, { sources: { batch: 3 * reads * 0.9, stale: 3 * reads * 0.1 } });
    expect(judgeRollout(figures, stale).verdict).toBe('promote');
  });
});

describe('a step that is held past its deadline', () => {
  const few = step({}, 20);
  const due = (more: Partial<JudgingRules>) => judgeRollout(few, { ...rules, holdDeadlineMs: HOUR, ...more });

  it('is reported, and is rolled back if the plan says so', () => {
    expect(due({})).toMatchObject({ verdict: 'hold', reason: 'too_few_users', why: expect.stringContaining('3600 s') });
    expect(due({ onDeadline: 'roll_back' })).toMatchObject({ verdict: 'roll_back', reason: 'hold_deadline' });
  });

  it('is not overdue before the deadline, or without a deadline', () => {
    const later = { onDeadline: 'roll_back', holdDeadlineMs: 3 * HOUR } as const;
    for (const one of [later, { ...later, holdDeadlineMs: null }]) expect(due(one).verdict).toBe('hold');
  });

  it('advances if its checks pass', () => {
    expect(judgeRollout(step(), { ...rules, holdDeadlineMs: HOUR, onDeadline: 'roll_back' }).verdict).toBe('promote');
  });
});

describe('an outcome', () => {
  const sale = { name: 'sale', kind: 'binary', better: 'higher', guardrail: true, minimumEffect: 0.1 } as const;
  const withSale = (own: number, users = 40_000) =>
    step({ outcomes: { sale: sampleOf(users, own) } }, users, { outcomes: { sale: sampleOf(3 * users, 0.1) } });
  const judgedBy = (outcome: JudgingRules['outcomes'][number], figures: RolloutFigures) =>
    judgeRollout(figures, { ...rules, outcomes: [outcome] });

  it('that is worse rolls back the rollout', () => {
    expect(judgedBy(sale, withSale(0.09)).verdict).toBe('roll_back');
  });

  it('that is the same or better lets the rollout advance', () => {
    expect(judgedBy(sale, withSale(0.1)).verdict).toBe('promote');
    expect(judgedBy(sale, withSale(0.12)).verdict).toBe('promote');
  });

  it('with lower as better is judged in the opposite direction', () => {
    const refund = { ...sale, better: 'lower' } as const;
    expect(judgedBy(refund, withSale(0.09)).verdict).toBe('promote');
    expect(judgedBy(refund, withSale(0.12)).verdict).toBe('roll_back');
  });

  it('that is not a guardrail is reported, and decides nothing', () => {
    const { verdict, checks } = judgedBy({ ...sale, guardrail: false }, withSale(0.08));
    expect(verdict).toBe('promote');
    expect(checks.find((check) => check.name === 'outcome:sale')).toMatchObject({ state: 'fail', guardrail: false });
  });

  it('with too few users, or with few events by chance, holds the rollout', () => {
    for (const outcomes of [{}, { sale: sampleOf(199, 0.01) }, { sale: sampleOf(200, 0.07) }]) {
      const figures = step({ outcomes }, 4_000, { outcomes: { sale: sampleOf(12_000, 0.1) } });
      expect(judgedBy(sale, figures)).toMatchObject({ verdict: 'hold', reason: 'inconclusive' });
    }
  });

  it('that has almost disappeared rolls back the rollout', () => {
    const figures = step({ outcomes: { sale: sampleOf(3_000, 0.001) } }, 4_000, {
      outcomes: { sale: sampleOf(12_000, 0.1) },
    });
    expect(judgedBy(sale, figures).verdict).toBe('roll_back');
  });

  it('shows the interval of the report, which excludes the disproven values', () => {
    for (const [own, state] of [
      [0.09, 'fail'],
      [0.1, 'pass'],
    ] as const) {
      const figures = withSale(own);
      const check = judgedBy(sale, figures).checks.find((one) => one.name === 'outcome:sale');
      const [candidate] = figures.arms;
      const report = compareOutcome({
        ...sale,
        armName: 'candidate',
        alpha: 0.05,
        days: 1,
        stable: figures.stable.outcomes.sale ?? NONE,
        arm: candidate?.outcomes.sale ?? NONE,
      });
      expect(check).toMatchObject({ state, figures: { ...report.difference } });
      if (state === 'fail') expect(report.difference?.upper).toBeLessThan(0);
      else expect(report.relative?.lower).toBeGreaterThan(-0.1);
    }
  });

  it('that is worse only by its interval says how much evidence a rollback needs', () => {
    const { verdict, checks } = judgedBy(sale, withSale(0.0935));
    expect(verdict).toBe('hold');
    const check = checks.find((one) => one.name === 'outcome:sale');
    expect(check).toMatchObject({
      state: 'inconclusive',
      why: expect.stringMatching(
        /the difference of -0\.65 points \(-.* to -.*\) is worse, with an e-value of \d+; a rollback needs 800$/,
      ),
    });
  });

  it('of kind sum is judged by its variance', () => {
    const spent = { ...sale, name: 'spent', kind: 'sum' } as const;
    const sum = (users: number, mean: number) => ({
      users,
      sum: users * mean,
      sumOfSquares: users * (mean * mean + 400),
    });
    const figures = (own: number) =>
      step({ outcomes: { spent: sum(40_000, own) } }, 40_000, { outcomes: { spent: sum(120_000, 20) } });
    expect(judgedBy(spent, figures(19)).verdict).toBe('roll_back');
    expect(judgedBy(spent, figures(20)).verdict).toBe('promote');
  });
});

interface Rates {
  readonly errors: number;
  readonly slow: number;
  readonly live: number;
}
type Totals = { -readonly [K in keyof Rates]: number } & { users: number };

const HARMLESS: Rates = { errors: 0.002, slow: 0.02, live: 0.1 };

/**
 * Returns the verdict that ends a step of two weeks, with one read for each user and daily looks; `hold` if none ends
 * it.
 */
function endOf(seed: number, candidate: Rates): string {
  const random = randomFrom(seed);
  const [ours, theirs] = [nothing(), nothing()];
  for (let day = 1; day <= 14; day++) {
    const [more = 0, others = 0] = drawMultinomial(random, 1_500, [0.75, 0.25]);
    addDay(random, ours, more, HARMLESS);
    addDay(random, theirs, others, candidate);
    const arms = { stable: armOf('stable', 75, ours), arms: [armOf('candidate', 25, theirs)] };
    const { verdict } = judgeRollout({ elapsedMs: day * 24 * HOUR, steps: 1, ...arms }, rules);
    if (verdict !== 'hold') return verdict;
  }
  return 'hold';
}

function nothing(): Totals {
  return { users: 0, errors: 0, slow: 0, live: 0 };
}

function addDay(random: Random, totals: Totals, users: number, rates: Rates) {
  totals.users += users;
  for (const what of ['errors', 'slow', 'live'] as const) totals[what] += drawBinomial(random, users, rates[what]);
}

function armOf(name: string, weight: number, { users, errors, slow, live }: Totals): ArmFigures {
  return arm(name, weight, users, { reads: users, errors, slow, sources: { batch: users - live, live } });
}

describe('a simulated rollout with daily looks', () => {
  const RUNS = 100;
  const endsOf = (candidate: Rates) => {
    const ends = Array.from({ length: RUNS }, (_, seed) => endOf(seed, candidate));
    const count = (verdict: string) => ends.filter((end) => end === verdict).length;
    return { promoted: count('promote'), takenBack: count('roll_back') };
  };

  it('of a harmless version usually advances, and is aborted in at most 5 %', () => {
    const { promoted, takenBack } = endsOf(HARMLESS);
    expect(takenBack).toBeLessThan(mostOf(RUNS, 0.05));
    expect(promoted).toBeGreaterThan(0.9 * RUNS);
  });

  it('of a version exactly at the margins is aborted in at most 5 %, and advances in at most 5 %', () => {
    const { promoted, takenBack } = endsOf({ errors: 0.012, slow: 0.04, live: 0.15 });
    expect(takenBack).toBeLessThan(mostOf(RUNS, 0.05));
    expect(promoted).toBeLessThan(mostOf(RUNS, 0.05));
  });

  it('of a regression is aborted', () => {
    expect(endsOf({ ...HARMLESS, errors: 0.06 })).toEqual({ promoted: 0, takenBack: RUNS });
  });
});
