/** Durations as texts, such as `36h` or `50ms`. A number without a unit is rejected. */

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

/** A whole number with its unit: `50ms`, `30s`, `15m`, `36h`, `7d`. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

/**
 * Returns the milliseconds of a duration; null if the text is not a duration. Zero, fractions and other units are not.
 */
export function parseDuration(text: string): number | null {
  const parts = /^([1-9][0-9]{0,8})(ms|s|m|h|d)$/.exec(text);
  const unit = UNITS.find(([name]) => name === parts?.[2]);
  return parts && unit ? Number(parts[1]) * unit[1] : null;
}

/** Returns the shortest exact text for whole milliseconds: 129600000 → `36h`, 86400000 → `1d`; 1500 → `1500ms`. */
export function formatDuration(ms: number): string {
  const whole = Math.round(ms);
  const unit = UNITS.find(([, size]) => whole !== 0 && whole % size === 0) ?? (['ms', 1] as const);
  return `${whole / unit[1]}${unit[0]}`;
}
