/** The analyses of the stories' rollouts, which suit the short time and the few customers of an example. */
import type { AnalysisInput, RolloutInput } from '@tandem/client/wire';
import { outcomeWindow } from './traffic.ts';

/**
 * A step of 1 % has two dozen customers, who cannot prove a small difference, and an unproven difference holds a
 * canary. So the margins are wide, and checks that are not needed are null. A service with millions of users should
 * keep the defaults.
 */
const fewCustomers = {
  interval: '2s',
  minStep: '15s',
  minUsers: 20,
  errorRate: 0.3,
  slowShare: null,
  liveShare: null,
  psi: null,
} satisfies AnalysisInput;

const told = { kind: 'sum', better: 'higher', window: outcomeWindow } as const;

export function canaryPlan(version: string): RolloutInput {
  const outcomes = [
    { ...told, name: 'foresight', guardrail: true, minimumEffect: 0.5 },
    { ...told, name: 'profit', minimumEffect: 0.5 },
  ];
  return { kind: 'canary', version, steps: [1, 5, 25, 50, 100], analysis: { ...fewCustomers, outcomes } };
}

/**
 * Returns the plan of an A/B test.
 * @param arms the arms, each with a third of the customers; stable has the rest
 */
export function abPlan(arms: readonly { readonly variant: string; readonly version: string }[]): RolloutInput {
  const outcomes = [
    { ...told, name: 'profit', minimumEffect: 0.2 },
    { ...told, name: 'foresight', minimumEffect: 0.02 },
  ];
  return { kind: 'ab', arms: arms.map((arm) => ({ ...arm, weight: 33 })), analysis: { ...fewCustomers, outcomes } };
}
