/**
 * The true gain of the hybrid over batch-only in the simulated feed, computed independently of the report. It is
 * computed from the views, with the chances that only the simulator knows in place of outcomes. The expected log-loss
 * of a score has no noise of outcomes, so a few populations are enough.
 */
import { type FeedUser, logistic, simulateFeed, type View, WINDOW_MS } from './behaviour.ts';
import { BIAS, WEIGHTS } from './offer-model.ts';

/**
 * Computes the true gain.
 * @returns the mean gain over reads, above 0 if the hybrid is better
 */
export function trueGain(cadenceMs: number, seeds: readonly number[], users?: number): number {
  let [gain, reads] = [0, 0];
  for (const seed of seeds) {
    for (const user of simulateFeed({ seed, ...(users === undefined ? {} : { users }) })) {
      user.views.forEach((view, i) => {
        const run = Math.max(0, Math.ceil(view.atMs / cadenceMs) - 1) * cadenceMs;
        const previous = user.views[i - 1];
        // Each read, except the first of a user, follows the event of the read before.
        const isStale = previous !== undefined && previous.atMs > run;
        const batch = scoreOf(user, shownBetween(user.views, run - WINDOW_MS, run));
        const now = scoreOf(
          user,
          shownBetween(user.views.slice(Math.max(0, i - 200), i), view.atMs - WINDOW_MS, view.atMs),
        );
        gain += expectedLoss(view, batch) - expectedLoss(view, isStale ? now : batch);
        reads++;
      });
    }
  }
  return gain / reads;
}

function shownBetween(views: readonly View[], after: number, until: number): readonly View[] {
  return views.filter(({ atMs }) => atMs > after && atMs <= until);
}

function scoreOf({ affinity }: FeedUser, shown: readonly View[]): number {
  const opened = shown.filter(({ isOpened }) => isOpened).length;
  return logistic(BIAS + WEIGHTS[0] * affinity + WEIGHTS[1] * opened + WEIGHTS[2] * (shown.length - opened));
}

function expectedLoss({ chance }: View, score: number): number {
  return -chance * Math.log(score) - (1 - chance) * Math.log(1 - score);
}
