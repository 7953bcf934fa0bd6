/** Values by their order alone: what asks who comes before whom, and not by how much. */

/** Each value's place in rising order, counted from 1; equal values have the mean of their places. */
export function midranks(values: readonly number[]): readonly number[] {
  const order = values.map((_, i) => i).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const ranks = new Array<number>(values.length).fill(0);
  for (let from = 0; from < order.length; ) {
    let end = from + 1;
    while (end < order.length && values[order[end] ?? 0] === values[order[from] ?? 0]) end++;
    for (let at = from; at < end; at++) ranks[order[at] ?? 0] = (from + 1 + end) / 2;
    from = end;
  }
  return ranks;
}

/** Spearman's rank correlation, ties included; null where one side has one value throughout. */
export function rankCorrelation(first: readonly number[], second: readonly number[]): number | null {
  const [a, b] = [centred(midranks(first)), centred(midranks(second))];
  const product = (x: readonly number[], y: readonly number[]) => x.reduce((sum, n, i) => sum + n * (y[i] ?? 0), 0);
  const spread = Math.sqrt(product(a, a) * product(b, b));
  return spread === 0 ? null : Math.min(1, product(a, b) / spread);
}

function centred(ranks: readonly number[]): readonly number[] {
  const mean = (ranks.length + 1) / 2;
  return ranks.map((rank) => rank - mean);
}
