/** A problem of a config: file, setting, problem and remedy. */
import { isTandemError, TandemError } from '@tandem/freshness/errors';

export interface ConfigProblem {
  /**
   * The absolute path of the config file, with the line of a syntax error; or `environment` for environment variables.
   */
  readonly file: string;
  /** The setting, such as `predictors.repurchase.freshness.maxAge`, or the variable; empty for the whole file. */
  readonly path: string;
  readonly problem: string;
  readonly remedy: string;
}

/** A problem without its file. */
export type SettingProblem = Omit<ConfigProblem, 'file'>;

/** Returns one error for all problems, with code `config_invalid` and the problems in its `detail`. */
export function configError(problems: readonly ConfigProblem[], cause?: unknown): TandemError {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  const text = `The configuration has ${count}:\n${problems.map(formatProblem).join('\n')}`;
  return new TandemError('config_invalid', text, { detail: problems, ...(cause === undefined ? {} : { cause }) });
}

/** Returns the problems of an error of `configError`; empty for other errors. */
export function problemsOf(error: unknown): readonly ConfigProblem[] {
  return isTandemError(error, 'config_invalid') && Array.isArray(error.detail) ? error.detail : [];
}

/** Returns two lines for a terminal: place and problem, then the remedy. */
function formatProblem({ file, path, problem, remedy }: ConfigProblem): string {
  return `  ${[file, path, problem].filter((part) => part !== '').join(': ')}\n    → ${remedy}`;
}

/** Returns the known name that is most similar to `name`; undefined if more than a third of its letters differ. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const wanted = name.toLowerCase();
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  const byDistance = known
    .map((candidate) => ({ candidate, distance: editDistance(wanted, candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = byDistance;
  return best && best.distance <= limit ? best.candidate : undefined;
}

/** Returns the remedy that names the most similar known name; undefined if none is similar. */
export function writeNearest(name: string, known: readonly string[]): string | undefined {
  const meant = nearestName(name, known);
  return meant && `write ${meant}`;
}

/** Returns the Damerau-Levenshtein distance with adjacent transpositions (optimal string alignment). */
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
