/** Renders a rollout for a terminal, line by line. */

import type { ModelDetail, OutcomeComparisonView, RolloutCheck, RolloutView } from '@tandem/client/wire';
import type { ArmTally } from './tally.ts';

export function renderVersion({
  modelVersion,
  note,
  metrics,
  bytes,
  inputs,
  parity,
  build,
  parent,
}: ModelDetail): string {
  const columns = inputs.reduce((sum, input) => sum + input.columns.length, 0);
  const made = build === null ? '' : `, ${build} of version ${parent}`;
  const users =
    parity === null ? 'untried' : `same answers alone and together for ${count(parity.users.real)} customers`;
  return [
    `  version ${modelVersion}   ${note}`,
    `      ${columns} columns, ${count(bytes)} bytes${made}; AUC ${fixed(metrics.auc, 4)}, log-loss ${fixed(metrics.logLoss, 4)} on customers not seen; ${users}`,
  ].join('\n');
}

/** Renders the arms and the users that they serve from now on. */
export function renderStep({ state, percent, arms, step, plan }: RolloutView): string {
  if (state === 'preparing') return '  preparing: every process loads the version, a run computes its generation';
  if (state === 'promoted') return '  100 %: the candidate is the stable version now';
  if (state === 'aborted') return '  rolled back: the stable version serves all customers again';
  if (state === 'ended') return '  ended: the stable version serves all customers';
  if (plan.kind === 'ab')
    return `  ${arms.map((arm) => `${arm.percent} % of the customers are ${arm.variant}`).join(', ')}`;
  return `  step ${step + 1} of ${(plan.kind === 'canary' && plan.steps?.length) || '?'}: ${percent} % of the customers are served by version ${arms[0]?.modelVersion ?? '?'}`;
}

export function renderTally(arms: readonly ArmTally[]): string[] {
  const width = Math.max(...arms.map(({ variant }) => variant.length));
  return arms.map(({ variant, modelVersion, customers, reads, live, outcomes }) => {
    const { foresight, profit } = outcomes;
    return `      ${variant.padEnd(width)}   version ${modelVersion}   ${count(customers).padStart(5)} customers   ${percentOf(live, reads)} live   foresight ${fixed(foresight, 3)}   profit ${dollars(profit)} a customer`;
  });
}

/** Renders a look that moved the rollout: its verdict, and the finding of each guardrail. */
export function renderLook({ judgement: { verdict, why, checks } }: RolloutCheck): string[] {
  const compared = checks.filter(({ guardrail, state }) => guardrail && state !== 'skipped');
  return [
    ...wrap(`${verdict.replace('_', ' ')}: `, why),
    ...(verdict === 'promote' ? compared.flatMap((check) => wrap('  ', check.why)) : []),
  ];
}

/** Renders the checks of whether the customers and the answers of the arms can be compared. */
export function renderSample({ checks }: RolloutCheck['judgement']): string[] {
  return checks.filter(({ name }) => name === 'sampleRatio' || name === 'sources').flatMap(({ why }) => wrap('', why));
}

/** Renders an outcome of an arm of an A/B test beside that of the stable arm. */
export function renderOutcome({
  name,
  variant,
  stable,
  arm,
  difference,
  pValue,
  conclusion,
}: OutcomeComparisonView): string[] {
  const between =
    difference === null
      ? 'not known yet'
      : `${signed(difference.estimate)} (${signed(difference.lower)} to ${signed(difference.upper)}), p ${pValue.toPrecision(2)}`;
  const figures = `${fixed(arm.mean, 3)} (${count(arm.users)} customers), of stable ${fixed(stable.mean, 3)} (${count(stable.users)}); difference ${between}`;
  return [...wrap(`${name} of ${variant}: `, figures), ...wrap('', conclusion.text)];
}

export function renderReason(reason: string): string[] {
  return wrap('why: ', reason);
}

const lineWidth = 110;

/** Wraps a sentence at the width of the terminal. */
function wrap(label: string, sentence: string): string[] {
  const lines = [`      ${label}`];
  for (const word of sentence.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last.length + word.length < lineWidth)
      lines[lines.length - 1] = `${last}${last.endsWith(' ') ? '' : ' '}${word}`;
    else lines.push(`          ${word}`);
  }
  return lines;
}

function signed(value: number): string {
  return `${value < 0 ? '' : '+'}${fixed(value, 3)}`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function fixed(value: number | undefined, digits: number): string {
  return value === undefined ? 'unknown' : value.toFixed(digits).replace('-', '−');
}

function percentOf(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(0).padStart(2)} %`;
}

function dollars(value: number): string {
  return `${value < 0 ? '−' : '+'}$${Math.abs(value).toFixed(2)}`;
}
