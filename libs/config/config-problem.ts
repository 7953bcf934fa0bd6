/** What is wrong with a config, told so that its owner can mend it: which file, which setting, what, and the remedy. */
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
