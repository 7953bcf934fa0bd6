/** Bisection: slow, and it never fails. */

/**
 * Where `isBelow` turns from true to false between `low`, where it is taken to be true, and `high`, where it is taken to be
 * false; within a part in 2 ** 40 of the way between them.
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
