/** Numbers and times as people read them. */

/** `2,357`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `0.8 s`, `42 s`, `3 min 20 s`, `8 h 50 min`, `2 d 4 h`. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 0.0995) return `${Math.round(ms)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const [unit, small, unitName, smallName] =
    whole < 3600 ? [60, 1, 'min', 's'] : whole < 86_400 ? [3600, 60, 'h', 'min'] : [86_400, 3600, 'd', 'h'];
  const [whole1, whole2] = [Math.floor(whole / unit), Math.floor((whole % unit) / small)];
  return whole2 === 0 ? `${whole1} ${unitName}` : `${whole1} ${unitName} ${whole2} ${smallName}`;
}

/** How long ago a moment was: `8 h 50 min ago`; `never` where there is none. */
export function ago(moment: string | null, now: number): string {
  if (moment === null) return 'never';
  return `${duration(Math.max(0, now - Date.parse(moment)))} ago`;
}

/** `2026-11-24 02:00:11` of an ISO moment, in UTC. */
export function moment(iso: string | null): string {
  return iso === null ? '' : iso.slice(0, 19).replace('T', ' ');
}
