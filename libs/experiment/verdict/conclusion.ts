/** What follows from an outcome's comparison, as a sentence: what an A/B test ends with. */
import type { Interval } from '../sequential/effect.ts';
import { percent, signedPercent } from './figure-text.ts';

/**
 * - `better`, `worse`: the interval of the difference leaves 0 out
 * - `no_difference`: any difference is smaller than the minimum effect
 * - `undecided`: neither is proven yet; `no_data`: there is nothing to compare
 */
export type ConclusionKind = 'better' | 'worse' | 'no_difference' | 'undecided' | 'no_data';

export interface Conclusion {
  readonly kind: ConclusionKind;
  /** One sentence, for people. The interval stands with the figures, once. */
  readonly text: string;
}

export interface ConclusionQuestion {
  readonly name: string;
  readonly armName: string;
  readonly better: 'higher' | 'lower';
  readonly minimumEffect: number;
}

/** What is known: `compareOutcome`. */
export interface ComparedOutcome {
  readonly stable: { readonly users: number };
  readonly arm: { readonly users: number };
  readonly difference: Interval | null;
  readonly relative: (Interval & { readonly estimate: number }) | null;
  readonly power: { readonly moreDays: number | null };
}

export function conclude(question: ConclusionQuestion, compared: ComparedOutcome): Conclusion {
  const { name, armName } = question;
  const kind = kindOf(question, compared);
  const said = (text: string): Conclusion => ({ kind, text: `${name}: ${text}` });
  switch (kind) {
    case 'better':
    case 'worse':
      return said(`${armName} is ${kind} than stable${shownEffect(compared)}`);
    case 'no_difference':
      return said(`no difference above ${percent(question.minimumEffect)} between ${armName} and stable`);
    case 'undecided':
      return said(`not decided between ${armName} and stable; ${neededOf(question, compared.power.moreDays)}`);
    case 'no_data':
      return said(`nothing to compare between ${armName} and stable yet; ${lackOf(compared)}`);
  }
}

function kindOf({ better, minimumEffect }: ConclusionQuestion, compared: ComparedOutcome): ConclusionKind {
  const { difference, relative } = compared;
  if (difference === null) return 'no_data';
  if (difference.lower > 0) return better === 'higher' ? 'better' : 'worse';
  if (difference.upper < 0) return better === 'higher' ? 'worse' : 'better';
  const isSmall = relative !== null && relative.lower > -minimumEffect && relative.upper < minimumEffect;
  return isSmall ? 'no_difference' : 'undecided';
}

function shownEffect({ relative }: ComparedOutcome): string {
  return relative === null ? '' : `: ${signedPercent(relative.estimate)}`;
}

function neededOf({ minimumEffect }: ConclusionQuestion, moreDays: number | null): string {
  const effect = `a difference of ${percent(minimumEffect)}`;
  if (moreDays === null) return `how long it takes to find ${effect} of a stable mean near 0 cannot be told`;
  if (moreDays === 0) return `these users are likely to show ${effect}, and smaller ones take longer`;
  return `about ${moreDays} more ${moreDays === 1 ? 'day' : 'days'} to find ${effect}`;
}

function lackOf({ stable, arm }: ComparedOutcome): string {
  return Math.min(stable.users, arm.users) === 0
    ? 'an arm has no users with a window that is over'
    : 'every user has the same value';
}
