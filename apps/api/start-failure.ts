/** Describes why the service could not start: one line for each problem, with its remedy and without a stack. */

import { problemsOf } from '@tandem/config/predictor/config-problem';
import { isTandemError } from '@tandem/freshness/errors';

export function describeStartFailure(error: unknown): readonly string[] {
  const problems = problemsOf(error);
  if (problems.length > 0) return problems.map(({ path, problem, remedy }) => `tandem: ${path} ${problem}; ${remedy}`);
  const said = error instanceof Error ? error.message || error.name : String(error);
  const remedy = isTandemError(error) && error.remedy !== undefined ? `; ${error.remedy}` : '';
  return [`tandem: ${said.replaceAll(/\s*\n\s*/g, ' ')}${remedy}`];
}
