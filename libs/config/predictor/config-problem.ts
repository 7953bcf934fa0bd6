/** A problem of a config, as its owner needs it to fix it: file, setting, problem, remedy. */
import { isTandemError, TandemError } from '@tandem/freshness/errors';

export interface ConfigProblem {
  /** The config file, absolute; with the line where it does not parse. `environment` for environment variables. */
  readonly file: string;
  /** The setting, `predictors.repurchase.freshness.maxAge`, or the variable; empty: the file as a whole. */
  readonly path: string;
  readonly problem: string;
  readonly remedy: string;
}

/** A problem before it is known in which file. */
export type SettingProblem = Omit<ConfigProblem, 'file'>;

/** One error for all of them: code `config_invalid`, the problems in its `detail`. */
export function configError(problems: readonly ConfigProblem[], cause?: unknown): TandemError {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  const text = `The configuration has ${count}:\n${problems.map(formatProblem).join('\n')}`;
  return new TandemError('config_invalid', text, { detail: problems, ...(cause === undefined ? {} : { cause }) });
}

/** The problems that an error of `configError` carries; empty for any other error. */
export function problemsOf(error: unknown): readonly ConfigProblem[] {
  return isTandemError(error, 'config_invalid') && Array.isArray(error.detail) ? error.detail : [];
}

/** Two lines for a terminal: where and what, then the remedy. */
export function formatProblem({ file, path, problem, remedy }: ConfigProblem): string {
  return `  ${[file, path, problem].filter((part) => part !== '').join(': ')}\n    → ${remedy}`;
}

/** The known name closest to `name`, or undefined if none is close: at most a third of its letters differ. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const wanted = name.toLowerCase();
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  const byDistance = known
    .map((candidate) => ({ candidate, distance: editDistance(wanted, candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = byDistance;
  return best && best.distance <= limit ? best.candidate : undefined;
}

/** Damerau-Levenshtein distance with adjacent transpositions (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    rows.push([i]);
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) best = Math.min(best, at(i - 2, j - 2) + 1);
      rows[i]?.push(best);
    }
  }
  return at(a.length, b.length);
}
