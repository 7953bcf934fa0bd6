/** Figures as people read them in a check's sentence: three digits. */

/** Of a share from 0 to 1. */
export function percent(share: number): string {
  return `${figure(100 * share)} %`;
}

/** Of a change from -1 up: with its sign. */
export function signedPercent(change: number): string {
  return `${change > 0 ? '+' : ''}${percent(change)}`;
}

export function figure(value: number): string {
  if (value !== 0 && (Math.abs(value) < 0.001 || Math.abs(value) >= 1e6)) return value.toExponential(1);
  return `${Number(value.toPrecision(3))}`;
}

/** "a, b and c". */
export function listed(words: readonly string[]): string {
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} and ${last}`;
}
