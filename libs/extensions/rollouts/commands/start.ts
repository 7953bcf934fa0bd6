/** `tandem rollout start`: serves another model version beside the stable one. */

import { InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { type Cli, createApiCommand, given, type OptionsOf, parseNumber, present } from '@tandem/commands/command';
import { usageError } from '@tandem/commands/failure';
import { duration, printable } from '@tandem/commands/output/text';
import { parseDuration } from '@tandem/wire/durations';
import { NUMBER_TEXT } from '@tandem/wire/numbers';
import type { RolloutInput, RolloutView } from '../client.ts';
import { connectRollouts } from './connect-rollouts.ts';
import { renderRollout } from './render-rollout.ts';

interface ArmOption {
  readonly variant: string;
  readonly version: string;
  readonly weight: number;
}

const CAP =
  "judge each --outcome by the sum of its values, of which a user's counts up to this amount (default: by the users who have it)";

const PSI = 'the guardrail on the shift of the scores over 20 classes of equal width, such as 0.25, or off (default)';

function createStartCommand() {
  return createApiCommand({
    name: 'start',
    description: 'start a canary (default), a shadow (--shadow) or an A/B test (--arm)',
    example: 'tandem rollout start repurchase 3 --steps 1,5,25,50,100',
    detail: [
      'A canary advances automatically while its guardrails hold, and is aborted automatically if one is violated.',
      'It begins when every process has loaded the model version and its generation is computed; tandem rollout show shows the state.',
    ].join('\n'),
  })
    .argument('<predictor>')
    .argument('[version]', 'the model version (see tandem model list); an A/B test has its versions in --arm')
    .option('--steps <percents>', 'for a canary: ascending percentages of the users, ending with 100', parseSteps)
    .option('--at-once', 'for a canary to a former stable version: skip the steps and the analysis')
    .option('--shadow', 'start a shadow, which serves no users: its answers are compared with the served answers')
    .option('--share <share>', 'for a shadow: the share of the users, from 0 to 1', parseNumber)
    .option('--max-per-second <count>', 'for a shadow: the most inferences per second in each process', parseNumber)
    .option('--arm <name=version:percent>', 'for an A/B test: an arm; may be repeated', collectArm)
    .option('--live', 'begin before the generation is computed; until then, the users of the arm are inferred live')
    .option('--manual', 'record verdicts without acting on them')
    .option('--dry-run', 'record verdicts without acting on them, like --manual')
    .option('--interval <duration>', 'the time between two looks of the analysis, such as 30s (at least 1s)')
    .option('--min-step <duration>', 'the shortest duration of a step, such as 1h')
    .option('--min-users <count>', 'the fewest users of each arm for a verdict', parseNumber)
    .option(
      '--hold-deadline <duration>',
      'the time after which a held step is overdue (default 7d; none for an A/B test)',
    )
    .option('--preparing-deadline <duration>', 'the time after which a preparing rollout is overdue (default 1d)')
    .addOption(new Option('--on-deadline <what>', 'the action for an overdue rollout').choices(['alert', 'roll_back']))
    .option('--outcome <name>', 'an outcome that must not get worse; may be repeated', collect)
    .option('--outcome-window <duration>', 'how long outcomes count after a first answer (default: 14d)')
    .option('--cap <value>', CAP, parseNumber)
    .option('--minimum-effect <share>', 'the loss of each --outcome to rule out (default: 0.1)', parseNumber)
    .option('--psi <index>', PSI, parseLimit);
}

type Options = OptionsOf<typeof createStartCommand>;

export function rolloutStartCommand(cli: Cli) {
  return createStartCommand().action(async (predictor, version, options) => {
    const rollout = await connectRollouts(cli, options).start(predictor, inputOf(version, options));
    present(cli, options, rollout, () => [...renderRollout(rollout, cli.paint, cli.now()), ...notesOn(rollout)]);
  });
}

type Kind = RolloutInput['kind'];
const SAID: Readonly<Record<Kind, string>> = { canary: 'a canary', shadow: 'a shadow', ab: 'an A/B test' };
const DEADLINES = ['holdDeadline', 'preparingDeadline', 'onDeadline'] as const;
const OUTCOMES = ['outcome', 'outcomeWindow', 'cap', 'minimumEffect'] as const;
const ANALYSED = [
  'live',
  'manual',
  'dryRun',
  'interval',
  'minStep',
  'minUsers',
  ...DEADLINES,
  ...OUTCOMES,
  'psi',
] as const;
/** The options of each kind. Others would have no effect. */
const OPTIONS: Readonly<Record<Kind, readonly (keyof Options)[]>> = {
  canary: ['steps', 'atOnce', ...ANALYSED],
  shadow: ['shadow', 'share', 'maxPerSecond'],
  ab: ['arm', ...ANALYSED],
};
/** The options of a canary that skips its steps. */
const AT_ONCE: readonly (keyof Options)[] = ['atOnce', 'live'];

function inputOf(version: string | undefined, options: Options): RolloutInput {
  const { arm, shadow, share, maxPerSecond, steps, atOnce, live } = options;
  const kind = arm ? 'ab' : shadow ? 'shadow' : 'canary';
  refuseOthers(kind, options);
  const coverage = live ? ({ coverage: 'live' } as const) : {};
  if (arm) {
    if (version !== undefined) throw usageError('an A/B test has its model versions in --arm', `leave ${version} out`);
    return { kind: 'ab', arms: arm, ...coverage, analysis: analysisOf(options) };
  }
  if (version === undefined) {
    throw usageError(
      'no model version is given',
      'add it after the predictor, or use --arm <name=version:percent> for an A/B test',
    );
  }
  if (!NUMBER_TEXT.test(version)) {
    throw usageError(
      `${JSON.stringify(version)} is not the number of a model version`,
      'give a number that tandem model list shows, such as 2',
    );
  }
  if (shadow) return { kind: 'shadow', version, ...given({ share, maxPerSecond }) };
  return { kind: 'canary', version, ...given({ steps, atOnce }), ...coverage, analysis: analysisOf(options) };
}

function refuseOthers(kind: Kind, options: Options): void {
  const all = new Set(Object.values(OPTIONS).flat());
  const known = options.atOnce ? AT_ONCE : OPTIONS[kind];
  const other = [...all].find((name) => options[name] !== undefined && !known.includes(name));
  if (other === undefined) return;
  const flag = `--${other.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const isSkipped = options.atOnce && OPTIONS[kind].includes(other);
  if (isSkipped) throw usageError(`${flag} has no effect with --at-once`, `leave out ${flag} or --at-once`);
  throw usageError(`${flag} does not apply to ${SAID[kind]}`, 'leave it out');
}

function analysisOf({ manual, outcome, outcomeWindow: window, cap, minimumEffect, ...options }: Options) {
  const ofOutcomes = { '--outcome-window': window, '--cap': cap, '--minimum-effect': minimumEffect };
  const [without] = Object.entries(ofOutcomes).find(([, value]) => value !== undefined && !outcome) ?? [];
  if (without !== undefined) throw usageError(`${without} requires --outcome`, 'add --outcome <name>');
  const kind = cap === undefined ? undefined : ('sum' as const);
  const outcomes = outcome?.map((name) => ({ name, guardrail: true, ...given({ window, kind, cap, minimumEffect }) }));
  const { dryRun, interval, minStep, minUsers, holdDeadline, preparingDeadline, onDeadline } = options;
  const psi = options.psi === 'off' ? null : options.psi;
  return given({
    automatic: manual ? false : undefined,
    dryRun,
    interval,
    minStep,
    minUsers,
    psi,
    outcomes,
    holdDeadline,
    preparingDeadline,
    onDeadline,
  });
}

function parseLimit(text: string): number | 'off' {
  return text === 'off' ? text : parseNumber(text);
}

function parseNumbers(text: string): readonly number[] {
  return text.split(',').map(parseNumber);
}

function parseSteps(text: string): readonly number[] {
  const steps = parseNumbers(text);
  if (steps.at(-1) === 100 && steps.every((step, i) => step > (steps[i - 1] ?? 0))) return steps;
  const between = [...new Set(steps)].filter((step) => step > 0 && step < 100).sort((a, b) => a - b);
  const example = [...between, 100].join(',');
  throw new InvalidArgumentError(`the percentages must ascend, and the last must be 100, such as --steps ${example}.`);
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

function collectArm(text: string, before: readonly ArmOption[] = []): readonly ArmOption[] {
  const [, variant, version, weight] = /^([a-z][a-z0-9_-]{0,62})=([1-9][0-9]*):([0-9.]+)$/.exec(text) ?? [];
  if (variant === undefined || version === undefined || weight === undefined) {
    throw new InvalidArgumentError('write it as name=version:percent, such as second=3:50');
  }
  return [...before, { variant, version, weight: Number(weight) }];
}

/** An API of an earlier release sends no notes. */
function notesOn(rollout: RolloutView & { readonly notes?: readonly string[] }): string[] {
  const notes = [leastDurationOf(rollout), ...(rollout.notes ?? [])].filter((note) => note !== null);
  return notes.map((note) => `note: ${printable(note)}`);
}

/** Returns a sentence on the least duration of a rollout; null if no window of an outcome prolongs it. */
export function leastDurationOf({ plan }: Pick<RolloutView, 'plan'>): string | null {
  if (plan.kind === 'shadow') return null;
  const { analysis } = plan;
  const [longest] = analysis.outcomes
    .filter(({ guardrail }) => guardrail || plan.kind === 'ab')
    .map(({ name, window }) => ({ name, window, ms: parseDuration(window) ?? 0 }))
    .sort((a, b) => b.ms - a.ms);
  if (!longest || longest.ms <= (parseDuration(analysis.minStep) ?? 0)) return null;
  const shorter = 'a shorter --outcome-window reduces this';
  if (plan.kind === 'ab')
    return `the rollout can judge ${longest.name} after ${duration(longest.ms)} at the earliest; ${shorter}`;
  const compared = (plan.steps ?? []).filter((percent) => percent < 100).length;
  if (compared === 0) return null;
  const waiting = compared === 1 ? '1 step below 100 % waits' : `${compared} steps below 100 % each wait`;
  return `the rollout takes at least ${days(compared * longest.ms)}: ${waiting} for the window of ${longest.name}, ${longest.window}; ${shorter}`;
}

/** Renders a duration in days if it is a multiple of a day, as windows are. */
function days(ms: number): string {
  const whole = ms / 86_400_000;
  return Number.isInteger(whole) ? `${whole} ${whole === 1 ? 'day' : 'days'}` : duration(ms);
}
