/** Judges `check --golden`: how many users of the file have the expected prediction, and which do not. */
import { basename } from 'node:path';
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import type { ReportProgress } from '@tandem/admission/report-progress';
import type { Pool } from '@tandem/admission/sample-users';
import { CommandFailure } from '@tandem/commands/failure';
import { type Finding, failed, ofPredictor, ok } from '@tandem/commands/output/finding';
import { count, counted } from '@tandem/commands/output/text';
import { compareGolden, type Difference, type GoldenComparison } from './compare-golden.ts';
import { readGolden } from './read-golden.ts';

export interface GoldenRequest {
  readonly file: string;
  /** The name of the predictor; null: the only one in the config. */
  readonly predictor: string | null;
  readonly key: string | null;
  readonly tolerance: number;
}

const SHOWN = 5;

/** Compares the file. Rejects with a CommandFailure if it cannot be compared. */
export async function checkGolden(
  pool: Pool,
  predictors: readonly CheckedPredictor[],
  request: GoldenRequest,
  { memoryLimitMb, reportProgress }: { readonly memoryLimitMb: number; readonly reportProgress: ReportProgress },
) {
  const { file, key, tolerance } = request;
  const predictor = choose(predictors, request);
  const { keyType, outputs } = predictor.definition;
  const comparison = await reportProgress(`comparing ${predictor.name} with ${basename(file)}`, async () => {
    const golden = await readGolden(file, { keyType, outputs, key });
    return compareGolden(pool, predictor, golden, { tolerance, memoryLimitMb });
  });
  return { comparison, findings: ofPredictor(predictor.name, [judgeComparison(comparison, basename(file))]) };
}

function choose(predictors: readonly CheckedPredictor[], { predictor }: GoldenRequest): CheckedPredictor {
  const names = predictors.map(({ name }) => name).join(', ');
  const [found, ...more] = predictors.filter(({ name }) => predictor === null || name === predictor);
  if (found && more.length === 0) return found;
  const problem = found ? 'the config has several predictors' : `the config has no predictor ${predictor}`;
  throw new CommandFailure(problem, { remedy: `name the predictor of the file with --predictor, one of ${names}` });
}

/**
 * Returns the findings of the comparison.
 * @param file the name of the file in the text
 */
function judgeComparison(comparison: GoldenComparison, file: string): Finding {
  const { users, equal, tolerance } = comparison;
  if (equal === users) {
    const text = `${file}: all predictions of ${usersText(users)} are as expected, within ${tolerance} of the value`;
    return ok('golden', text);
  }
  const lines = [...differenceLines(comparison), ...missingLines(comparison)];
  return failed('golden', `${file}: ${lines.join('\n')}`, remedyFor(comparison));
}

function differenceLines({ differences, users, tolerance, equal }: GoldenComparison): string[] {
  const [worst, ...others] = differences;
  if (worst === undefined) return [`${count(equal)} of ${count(users)} users have the expected values`];
  const more = others.slice(0, SHOWN - 1).map(differenceText);
  return [
    `${count(differences.length)} of ${count(users)} users differ by more than ${tolerance} of the value; the worst:`,
    ...[differenceText(worst), ...more].map((text) => `  ${text}`),
  ];
}

function differenceText({ userId, column, expected, got }: Difference): string {
  return `user ${userId}: ${column} ${expected} expected, ${got} computed`;
}

function missingLines({ unknown, unscorable }: GoldenComparison): string[] {
  const reasons = unscorable.slice(0, SHOWN).map(({ userId, why }) => `  user ${userId}: ${why}`);
  return [
    ...(unknown.length === 0 ? [] : [`the query returns no row for ${usersText(unknown.length)}: ${listed(unknown)}`]),
    ...(unscorable.length === 0 ? [] : [`${usersText(unscorable.length)} cannot be scored:`, ...reasons]),
  ];
}

const usersText = (users: number) => counted(users, 'user');

function listed(userIds: readonly string[]): string {
  return `${userIds.slice(0, SHOWN).join(', ')}${userIds.length > SHOWN ? ', …' : ''}`;
}

function remedyFor({ order, exchange, differences, unscorable }: GoldenComparison): string {
  if (exchange) {
    const moved = exchange.map(({ column, valuesOf }) => `${column} has the values of ${valuesOf}`);
    return `exchange these columns in the query; the model returns the expected values if ${moved.join(', ')}`;
  }
  if (order) {
    return `select the columns in the order of the training; the model returns the expected values with this order: ${order.join(', ')}`;
  }
  if (differences.length > 0) {
    return 'compare the query with the training (the order of the columns, units, nulls and categories), and check whether the table has changed since the file was written';
  }
  if (unscorable.length > 0) return 'set features.nulls and features.categories, or remove these users from the file';
  return 'check that the file and the database are of the same day, and that the file has the ids of the query';
}
