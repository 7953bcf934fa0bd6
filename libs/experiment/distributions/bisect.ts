/** Bisection, which is slow but always converges. */

/**
 * Returns the point between `low` and `high` at which `isBelow` changes from true to false. It is assumed to be true at
 * `low` and false at `high`. The error is at most (high − low) / 2 ** 40.
 */
export function bisect(isBelow: (x: number) => boolean, low: number, high: number): number {
  let [from, to] = [low, high];
  for (let step = 0; step < 40; step++) {
    const middle = (from + to) / 2;
    if (isBelow(middle)) from = middle;
    else to = middle;
  }
  return (from + to) / 2;
}
