/** GET /v1/runs/plan: the effect of a budget, before it is spent. */
import { nextSlot } from '@tandem/config/predictor/schedule';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { TandemError } from '@tandem/freshness/errors';
import type { Policy } from '@tandem/freshness/predictor';
import {
  type BudgetEstimate,
  estimateBudget,
  type RunCosts,
  usersWithin,
} from '@tandem/prediction/demand/estimate-budget';
import type { Budget } from '@tandem/prediction/runs/budget';
import { BudgetSchema, RUN_PLAN_EXAMPLE, RunPlanQuery, RunPlanSchema } from '@tandem/wire/runs';
import type { HonoRequest } from 'hono';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

/** Shares that the answer compares with the requested budget. */
const SHARES = [0.05, 0.1, 0.25, 0.5, 1];
const DAY_MS = 86_400_000;

export function planRun({ registry, findBudgetFacts }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'planRun',
    method: 'get',
    path: '/v1/runs/plan',
    tag: 'runs',
    summary: 'The effect of a budget',
    description:
      'Estimates the share of the next day’s reads that a budget covers, and its cost, from read counts and the cost of earlier runs. Starts no run.',
    scope: 'runs:read',
    query: RunPlanQuery,
    answer: {
      description: 'Estimates for the requested budget and for others',
      schema: RunPlanSchema,
      example: RUN_PLAN_EXAMPLE,
    },
    problems: ['invalid_input', 'unknown_predictor', 'run_conflict', 'unavailable'],
    async handle({ req }) {
      const name = req.query('predictor') ?? '';
      if (name === '') throw noPredictor();
      const budget = budgetIn(req);
      const predictor = await requirePredictor(registry, name);
      const { now, costs, groups } = await findBudgetFacts(name);
      if (costs === null) throw nothingKnown(`No run of all users of ${name} has ended yet`, name);
      const estimate = (users: number): BudgetEstimate => estimateBudget(users, groups, costs);
      const asked = budget && usersOf(budget, costs, name);
      return {
        predictor: name,
        users: costs.users,
        until: nextRun(predictor.policy, now).toISOString(),
        asked: asked === undefined ? null : estimate(asked),
        budgets: SHARES.map((share) => estimate(usersOf({ share }, costs, name))),
      };
    },
  });
}

function noPredictor(): TandemError {
  return new TandemError('invalid_input', 'The query parameter predictor is missing.', {
    field: 'predictor',
    remedy: 'add ?predictor= with a name; GET /v1/predictors lists the names',
  });
}

function budgetIn(req: HonoRequest): Budget | undefined {
  const asked = Object.entries({ share: req.query('share'), cpuMinutes: req.query('cpuMinutes') })
    .filter(([, text]) => text !== undefined)
    .map(([name, text]) => [name, text === '' ? Number.NaN : Number(text)] as const);
  if (asked.length === 0) return undefined;
  const budget = BudgetSchema.safeParse(Object.fromEntries(asked));
  if (budget.success) return budget.data;
  const field = asked[0]?.[0] ?? 'share';
  throw new TandemError(
    'invalid_input',
    'A budget must be either a share above 0 and up to 1, or cpuMinutes above 0.',
    {
      field,
      remedy: 'send share=0.25 or cpuMinutes=30',
    },
  );
}

function usersOf(budget: Budget, costs: RunCosts, predictor: string): number {
  const users = usersWithin(budget, costs);
  if (users === null) throw nothingKnown(`No run of ${predictor} has recorded its CPU time yet`, predictor);
  return users;
}

function nothingKnown(why: string, predictor: string): TandemError {
  return new TandemError('run_conflict', `${why}, so the effect of a budget cannot be estimated.`, {
    field: 'predictor',
    remedy: `start one: tandem run start ${predictor}`,
  });
}

/** Returns the next slot of either schedule, or a day from now if the predictor has no schedule. */
function nextRun({ batch }: Policy, now: Date): Date {
  const schedules = [batch.schedule, batch.changedSchedule].filter((one) => typeof one === 'string');
  const slots = schedules.map((schedule) => nextSlot(schedule, now).getTime());
  return new Date(slots.length === 0 ? now.getTime() + DAY_MS : Math.min(...slots));
}
