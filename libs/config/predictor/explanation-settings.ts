/** What the setting that keeps explanations means: a share that takes nobody, or a time that nobody could look in, is none. */
import type { PartialPredictor } from './check-form.ts';
import type { SettingProblem } from '../config-problem.ts';
import { parseDuration } from '../durations.ts';

/** Users are told apart by ten-thousandths. */
const LEAST_SHARE = 0.0001;
const LEAST_MS = 60_000;

export function explanationProblems(
  { explanations }: PartialPredictor,
  at: (...keys: string[]) => string,
): SettingProblem[] {
  const problems: SettingProblem[] = [];
  const share = explanations?.share;
  if (share !== undefined && !(share >= LEAST_SHARE)) {
    problems.push({
      path: at('explanations', 'share'),
      problem: `is ${share}: ${share > 0 ? 'less than one user in ten thousand' : 'no answer would be kept'}`,
      remedy: share > 0 ? `write at least ${LEAST_SHARE}` : 'remove explanations, or write a share above 0, up to 1',
    });
  }
  const keepFor = explanations?.keepFor;
  const ms = keepFor === undefined ? null : parseDuration(keepFor);
  if (ms !== null && ms < LEAST_MS) {
    problems.push({
      path: at('explanations', 'keepFor'),
      problem: `${keepFor} is over before anybody could look`,
      remedy: "write at least '1m'",
    });
  }
  return problems;
}
