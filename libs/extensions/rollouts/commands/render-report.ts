/** Renders the report of a rollout: the arms, the checks and the verdict. */

import type { Paint, Tone } from '@tandem/commands/command';
import {
  count,
  duration,
  printable,
  renderSentences,
  renderTable,
  renderWrappedFields,
  right,
} from '@tandem/commands/output/text';
import type { OutcomeComparisonView } from '../client.ts';
import type { Judgement, RolloutReport } from '../wire-types.ts';
import { renderRollout } from './render-rollout.ts';

const VERDICTS: Readonly<Record<Judgement['verdict'], readonly [Tone, string]>> = {
  promote: ['good', 'promote'],
  hold: ['warn', 'hold'],
  roll_back: ['bad', 'roll back'],
};
const STATES: Readonly<Record<Judgement['checks'][number]['state'], Tone>> = {
  pass: 'good',
  fail: 'bad',
  inconclusive: 'warn',
  skipped: 'strong',
};

export function renderRolloutReport(report: RolloutReport, paint: Paint, now: number): string[] {
  const { rollout, elapsedSeconds, judgement, multipleExposures } = report;
  const isStarted = rollout.stepStartedAt !== null;
  return [
    ...renderRollout(rollout, paint, now, judgement.why),
    '',
    ...renderWrappedFields([
      ['step', isStarted ? `has lasted ${duration(elapsedSeconds * 1_000)}` : 'has not begun'],
      ['verdict', isStarted ? verdictOf(judgement, paint) : 'not started'],
      ['moved', multipleExposures === 0 ? null : `${count(multipleExposures)} ${MOVED}`],
      ['outcomes', outcomesNote(report, now)],
    ]),
    '',
    ...renderArms(report),
    '',
    ...renderChecks(judgement, paint, isStarted),
    ...renderOutcomes(report.outcomes),
  ];
}

const MOVED = 'users were served by two arms, so outcomes do not count them';

/**
 * Milliseconds from which the age of the counted outcomes is shown. With millions of users, counting takes several
 * looks.
 */
const OLD_MS = 60_000;

function outcomesNote({ outcomesAsOf, outcomesError }: RolloutReport, now: number): string | null {
  const ageMs = outcomesAsOf === null ? 0 : now - Date.parse(outcomesAsOf);
  const of = outcomesAsOf === null ? 'none have been counted yet' : `the counts are ${duration(ageMs)} old`;
  if (outcomesError !== null) return `could not be counted (${printable(outcomesError)}): ${of}`;
  return ageMs < OLD_MS ? null : of;
}

function verdictOf(judgement: Judgement, paint: Paint): string {
  const [tone, verdict] = VERDICTS[judgement.verdict];
  return `${paint(tone, verdict)}: ${printable(whyOf(judgement))}`;
}

/** Returns the reason. If several checks decide, returns their names, because their findings are printed below. */
function whyOf({ why, checks }: Judgement): string {
  const deciding = checks.filter((check) => why.includes(check.why));
  if (deciding.length < 2) return why;
  return deciding.map(({ name, arm }) => (arm === null ? name : `${name} of ${arm}`)).join(', ');
}

function renderArms({ arms }: RolloutReport): string[] {
  const titles = ['users', 'reads', 'errors', 'slow', 'live'].map(right);
  const rows = arms.map(({ variant, users, reads, errors, slow, sources }) => [
    variant,
    count(users),
    count(reads),
    shareOf(errors, reads),
    shareOf(slow, reads),
    shareOf(sources.live ?? 0, reads),
  ]);
  return renderTable(['variant', ...titles], rows);
}

/** Renders the checks. Before the first step there is nothing to check, so a check has not failed. */
function renderChecks({ checks }: Judgement, paint: Paint, isStarted: boolean): string[] {
  const rows = checks.map(({ name, arm, state, why }) =>
    isStarted
      ? ([name, arm ?? '', paint(STATES[state], state), printable(why)] as const)
      : ([name, arm ?? '', 'not started', 'checked once the rollout is running'] as const),
  );
  return renderSentences(['check', 'variant', 'state', 'why'], rows);
}

/** Renders a table with the interval of each difference, and a sentence with the conclusion. */
function renderOutcomes(outcomes: readonly OutcomeComparisonView[]): string[] {
  if (outcomes.length === 0) return [];
  const rows = outcomes.map((one) => [
    nameOf(one),
    one.variant,
    `${figure(one.stable.mean)} of ${count(one.stable.users)}`,
    `${figure(one.arm.mean)} of ${count(one.arm.users)}`,
    effectOf(one),
    one.pValue.toPrecision(2),
  ]);
  const titles = ['outcome', 'variant', 'stable', 'arm', 'difference', 'p'];
  return ['', ...renderTable(titles, rows), '', ...outcomes.map(({ conclusion }) => printable(conclusion.text))];
}

/** Returns the name with the cap; an API of an earlier release sends no cap. */
function nameOf({ name, cap = null }: Pick<OutcomeComparisonView, 'name'> & { readonly cap?: number | null }): string {
  return cap === null ? name : `${name}, capped at ${figure(cap)}`;
}

/**
 * Renders the effect in the unit of the outcome, to which the p-value belongs. A ratio to a mean near zero has no
 * meaning.
 */
function effectOf({ difference, relative }: OutcomeComparisonView): string {
  if (difference === null) return 'nothing to compare yet';
  const { estimate, lower, upper } = difference;
  const share = relative === null ? '' : `, ${percent(relative.estimate)}`;
  return `${figure(estimate)} (${figure(lower)} to ${figure(upper)})${share}`;
}

function shareOf(part: number, whole: number): string {
  return whole === 0 ? '' : `${((100 * part) / whole).toFixed(2)} %`;
}

function percent(share: number): string {
  return `${share > 0 ? '+' : ''}${(100 * share).toFixed(1)} %`;
}

function figure(value: number): string {
  return Number(value.toPrecision(4)).toString();
}
