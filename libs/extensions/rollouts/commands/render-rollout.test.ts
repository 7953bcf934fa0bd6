import type { RolloutReport } from '@tandem/client/wire';
import { plain } from '@tandem/commands/command';
import { describe, expect, it } from 'vitest';
import type { RolloutView } from '../client.ts';
import { PLAN_EXAMPLE } from '../wire/rollout-plan.ts';
import { renderRolloutReport } from './render-report.ts';
import { renderRollout, renderRollouts } from './render-rollout.ts';

const NOW = Date.parse('2026-11-24T02:30:00.000Z');
const ERRORS = 'reads without a prediction: 12 % in candidate and 0.1 % in stable; the difference is above 1 %';
const ORDERS = 'order: 15 % in candidate and 20 % in stable; the difference of -5 % is proven to be worse';
const ROLLOUT: RolloutView = {
  id: '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2c22',
  ...{ predictor: 'repurchase', rollout: '3', kind: 'canary', state: 'running', step: 1, percent: 5 },
  reason: 'too few users: 488 in candidate; each arm needs 1000',
  stepStartedAt: '2026-11-24T02:10:00.120Z',
  arms: [{ variant: 'candidate', modelVersion: '3', generation: null, percent: 5, firstBucket: 0, endBucket: 500 }],
  salt: 'a salt',
  plan: PLAN_EXAMPLE,
  ...{ createdBy: 'key:deploy', createdAt: '2026-11-24T02:00:00.000Z', endedAt: null },
};
const check = (name: string, arm: string | null, state: 'pass' | 'fail', why: string) => ({
  ...{ name, arm, state, why, guardrail: arm !== null, figures: {} },
});
const REPORT: RolloutReport = {
  rollout: ROLLOUT,
  elapsedSeconds: 700,
  arms: [
    { variant: 'stable', users: 19_000, reads: 38_000, errors: 38, slow: 3, sources: { batch: 37_940, live: 60 } },
    { variant: 'candidate', users: 0, reads: 0, errors: 0, slow: 0, sources: {} },
  ],
  judgement: {
    ...{ verdict: 'roll_back', reason: 'guardrail_worse', why: `${ERRORS} and ${ORDERS}` },
    checks: [
      check('traffic', null, 'pass', 'every arm is read'),
      check('errorRate', 'candidate', 'fail', ERRORS),
      check('outcome:order', 'candidate', 'fail', ORDERS),
    ],
  },
  outcomes: [
    {
      ...{
        name: 'order',
        variant: 'candidate',
        pValue: 0.31,
        eValue: 0.2,
        moreDays: { lower: 1, upper: 9 },
        cap: null,
      },
      ...{ stable: { users: 9_000, mean: 0.2, largest: 1 }, arm: { users: 500, mean: 0.21034, largest: 1 } },
      difference: { estimate: 0.0103, lower: -0.0024, upper: 0.018 },
      relative: { estimate: 0.031, lower: -0.012, upper: 0.09 },
      ...{ sofar: { stable: { users: 9_000, mean: 0.2 }, arm: { users: 500, mean: 0.21 } } },
      ...{ usersNeeded: 1_000, detectableEffect: 0.1 },
      conclusion: { kind: 'undecided', text: 'order: not decided between candidate and stable; about 1 more day' },
    },
  ],
  ...{ outcomesAsOf: '2026-11-24T02:29:30.000Z', outcomesError: null, multipleExposures: 3, newUsers: [] },
};

describe('a rollout', () => {
  it('shows the arms, the state and the reason', () => {
    expect(renderRollout(ROLLOUT, plain, NOW)).toEqual([
      'rollout  3 of repurchase (0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2c22)',
      'state    running: too few users: 488 in candidate; each arm needs 1000',
      'kind     canary, 5 %, step 2 of 5',
      'created  2026-11-24 02:00:00 UTC (30 min ago) by key:deploy',
      'variant    model version  generation  users',
      'candidate  3              none yet      5 %',
    ]);
    expect(renderRollout({ ...ROLLOUT, arms: [] }, plain, NOW)).toHaveLength(4);
  });

  it('shows how an ended rollout ended: its arm serves all users, or none', () => {
    const ended = { ...ROLLOUT, percent: 0, endedAt: '2026-11-24T02:20:00.000Z' };
    const lines = (changes: Partial<RolloutView>) => renderRollout({ ...ended, ...changes }, plain, NOW);
    expect(lines({ state: 'promoted' })).toEqual([
      ...['rollout  3 of repurchase (0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2c22)'],
      'state    promoted: too few users: 488 in candidate; each arm needs 1000',
      'kind     canary, promoted to all users',
      'created  2026-11-24 02:00:00 UTC (30 min ago) by key:deploy',
      'variant    model version  generation  users before the end',
      'candidate  3              none yet                     5 %',
    ]);
    expect(lines({ state: 'aborted' })[2]).toBe('kind     canary, ended at step 2 of 5');
    expect(lines({ state: 'aborted', step: 0, stepStartedAt: null })[2]).toBe('kind     canary, ended before step 1');
    expect(renderRollouts([{ ...ended, state: 'promoted' }], plain, NOW)[1]).toContain('canary, promoted to all users');
  });

  it('is one line of the list, however long its reason is', () => {
    const ab = { ...ROLLOUT, kind: 'ab' as const, state: 'preparing' as const, reason: ERRORS };
    const lines = renderRollouts([ROLLOUT, ab], plain, NOW);
    expect(lines.map((line) => line.length <= 100)).toEqual([true, true, true]);
    expect(lines[2]).toMatch(/^repurchase {2}3 +A\/B test +preparing {2}30 min ago {2}reads without .*…$/);
    expect(renderRollouts([], plain, NOW)).toEqual([expect.stringContaining('tandem rollout start')]);
  });

  it('cannot move the cursor with the text of a reason', () => {
    const odd = { ...ROLLOUT, reason: '\u001b[2J', createdBy: 'key:\u0007' };
    const report = { ...REPORT, rollout: odd };
    const all = [...renderRollout(odd, plain, NOW), ...renderRollouts([odd], plain, NOW)];
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern finds control characters
    expect([...all, ...renderRolloutReport(report, plain, NOW)].join(' ')).not.toMatch(/[\u0000-\u001f]/);
  });
});

describe('a report', () => {
  it('shows the answers, the checks and the conclusions, each once', () => {
    expect(renderRolloutReport(REPORT, plain, NOW).slice(7)).toEqual([
      'step     has lasted 11 min 40 s',
      'verdict  roll back: errorRate of candidate, outcome:order of candidate',
      'moved    3 users were served by two arms, so outcomes do not count them',
      '',
      'variant     users   reads  errors    slow    live',
      'stable     19,000  38,000  0.10 %  0.01 %  0.16 %',
      'candidate       0       0',
      '',
      'check          variant    state  why',
      'traffic                   pass   every arm is read',
      'errorRate      candidate  fail   reads without a prediction: 12 % in candidate and 0.1 % in stable;',
      '                                 the difference is above 1 %',
      'outcome:order  candidate  fail   order: 15 % in candidate and 20 % in stable; the difference of -5 %',
      '                                 is proven to be worse',
      '',
      'outcome  variant    stable        arm            difference                         p',
      'order    candidate  0.2 of 9,000  0.2103 of 500  0.0103 (-0.0024 to 0.018), +3.1 %  0.31',
      '',
      'order: not decided between candidate and stable; about 1 more day',
    ]);
  });

  it('does not repeat the reason of a rollout that is also that of the verdict', () => {
    const why = 'too few users: 488 in candidate; each arm needs 1000';
    const judgement = {
      verdict: 'hold',
      reason: 'too_few_users',
      why,
      checks: [check('users', null, 'fail', why)],
    } as const;
    const rollout = { ...ROLLOUT, reason: why };
    const lines = renderRolloutReport({ ...REPORT, rollout, judgement, multipleExposures: 0 }, plain, NOW);
    expect(lines[1]).toBe('state    running');
    expect(lines.slice(7, 9)).toEqual(['step     has lasted 11 min 40 s', `verdict  hold: ${why}`]);
    expect(lines.join('\n')).not.toContain('moved');
  });

  it('of a rollout that is preparing has no verdict and no failed check', () => {
    const why = 'no traffic since the step began: stable and candidate';
    const checks = [check('traffic', null, 'fail', why)];
    const judgement = { verdict: 'hold', reason: 'no_traffic', why, checks } as const;
    const rollout = { ...ROLLOUT, state: 'preparing', stepStartedAt: null } as const;
    const lines = renderRolloutReport(
      { ...REPORT, rollout, judgement, outcomes: [], multipleExposures: 0 },
      plain,
      NOW,
    );
    expect(lines.slice(7, 9)).toEqual(['step     has not begun', 'verdict  not started']);
    expect(lines.at(-1)).toMatch(/^traffic +not started +checked once the rollout is running$/);
    expect(lines.join('\n')).not.toMatch(/fail|hold/);
  });

  it('shows the age of counted outcomes, and why they could not be counted', () => {
    const lineOf = (changes: Partial<RolloutReport>) =>
      renderRolloutReport({ ...REPORT, ...changes }, plain, NOW).find((line) => line.startsWith('outcomes'));
    expect(lineOf({})).toBeUndefined();
    expect(lineOf({ outcomesAsOf: '2026-11-24T02:20:00.000Z' })).toBe('outcomes  the counts are 10 min old');
    expect(lineOf({ outcomesAsOf: null, outcomesError: 'too slow' })).toBe(
      'outcomes  could not be counted (too slow): none have been counted yet',
    );
  });

  it('shows the cap of an outcome', () => {
    const outcomes = REPORT.outcomes.map((one) => ({ ...one, cap: 500 }));
    expect(renderRolloutReport({ ...REPORT, outcomes }, plain, NOW).at(-3)).toMatch(/^order, capped at 500 +candidate/);
    // An API of an earlier release sends no cap.
    const older = outcomes.map(({ cap: _, ...one }) => one as (typeof outcomes)[number]);
    expect(renderRolloutReport({ ...REPORT, outcomes: older }, plain, NOW).at(-3)).toMatch(/^order +candidate/);
  });

  it('says if nothing can be compared yet, and ends with the conclusion', () => {
    const [one] = REPORT.outcomes;
    const conclusion = { kind: 'no_data', text: 'order: nothing to compare \u001b[2J' } as const;
    const outcomes = one ? [{ ...one, difference: null, relative: null, conclusion }] : [];
    const lines = renderRolloutReport({ ...REPORT, outcomes }, plain, NOW);
    expect(lines.at(-3)).toMatch(/nothing to compare yet +0\.31$/);
    expect(lines.at(-1)).toContain('order: nothing to compare');
    expect(lines.at(-1)).not.toContain('\u001b');
    expect(renderRolloutReport({ ...REPORT, outcomes: [] }, plain, NOW).join('\n')).not.toContain('difference  ');
  });
});
