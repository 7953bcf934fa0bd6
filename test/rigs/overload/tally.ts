/** Counts the outcomes of a load: the number and latency of each kind, in total and by second. */
import type { Exchange } from './exchange.ts';
import type { OpenLoopResult, Outcome } from './open-loop.ts';

export interface Kind {
  /** `live`, `batch fresh`, `stale overloaded`, `503 overloaded`, `timeout`, … */
  readonly name: string;
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Tally {
  readonly kinds: ReadonlyMap<string, Kind>;
  /** All answers of any kind. */
  readonly all: Kind;
  /** The number of rejections without Retry-After. */
  readonly withoutRetryAfter: number;
  /** The generator's own lateness at its 99th percentile, in ms. */
  readonly generatorP99: number;
}

/** The lateness in milliseconds up to which a generator counts as in time. */
export const IN_TIME_MS = 20;

export function tallyOf({ outcomes, lateMs }: OpenLoopResult): Tally {
  const byKind = new Map<string, number[]>();
  for (const { answer, ms } of outcomes) {
    const name = kindOf(answer);
    const known = byKind.get(name);
    if (known) known.push(ms);
    else byKind.set(name, [ms]);
  }
  const kinds = new Map([...byKind].sort().map(([name, ms]) => [name, kind(name, ms)]));
  const all = outcomes.map(({ ms }) => ms);
  const withoutRetryAfter = outcomes.filter(({ answer }) => isRefusal(answer) && !answer.retryAfter).length;
  return { kinds, all: kind('all', all), withoutRetryAfter, generatorP99: percentile(lateMs, 0.99) };
}

/** Returns the rate of answers of a kind within a time, per second. */
export function goodput(result: OpenLoopResult, name: string, withinMs: number): number {
  return result.outcomes.filter((outcome) => isGood(outcome, name, withinMs)).length / result.seconds;
}

/** Returns the answers of a kind within a time, for each second of the load. */
export function goodputBySecond(result: OpenLoopResult, name: string, withinMs: number): number[] {
  const seconds = Array.from({ length: Math.ceil(result.seconds) }, () => 0);
  for (const outcome of result.outcomes) {
    const second = Math.floor(outcome.due / 1e3);
    if (isGood(outcome, name, withinMs)) seconds[second] = (seconds[second] ?? 0) + 1;
  }
  return seconds;
}

export function describe({ kinds, all, generatorP99, withoutRetryAfter }: Tally): string {
  const lines = [...kinds.values(), all].map(
    ({ name, count, p50, p99, max }) =>
      `  ${name.padEnd(24)} ${String(count).padStart(8)}   p50 ${ms(p50)}   p99 ${ms(p99)}   max ${ms(max)}`,
  );
  const late = generatorP99 > IN_TIME_MS ? 'the generator could not keep up' : 'in time';
  lines.push(
    `  refusals without Retry-After: ${withoutRetryAfter}; the generator's lateness p99 ${ms(generatorP99)}: ${late}`,
  );
  return lines.join('\n');
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function kindOf(answer: Outcome['answer']): string {
  if (typeof answer === 'string') return answer;
  const { status, body } = answer;
  if (status !== 200) return `${status} ${/urn:tandem:problem:(\w+)/.exec(body)?.[1] ?? ''}`;
  const source = /"source":"(\w+)"/.exec(body)?.[1] ?? '?';
  return source === 'live' ? source : `${source} ${/"reason":"(\w+)"/.exec(body)?.[1]}`;
}

function isGood({ answer, ms: took }: Outcome, name: string, withinMs: number): boolean {
  return took <= withinMs && kindOf(answer) === name;
}

function isRefusal(answer: Outcome['answer']): answer is Exchange {
  return typeof answer !== 'string' && (answer.status === 503 || answer.status === 429);
}

function kind(name: string, values: readonly number[]): Kind {
  const of = (share: number) => percentile(values, share);
  return { name, count: values.length, p50: of(0.5), p99: of(0.99), max: of(1) };
}

function ms(value: number): string {
  return `${value.toFixed(1).padStart(7)} ms`;
}
