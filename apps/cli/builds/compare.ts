/** `tandem build compare`: compares an optimised build with its parent, on real users. */
import { resolve } from 'node:path';
import { type Cli, createApiCommand, given, parseWhole, present } from '@tandem/commands/command';
import { readCsv } from '@tandem/commands/csv/read-csv';
import { CommandFailure, usageError } from '@tandem/commands/failure';
import { lineFailure } from '@tandem/commands/read-text-file';
import type { Label } from '@tandem/prediction/builds/compare-builds';
import { connect } from '../client/connect.ts';
import { renderComparison } from './render-comparison.ts';

export function buildCompareCommand(cli: Cli) {
  return createApiCommand({
    name: 'compare',
    description: 'compare size, answers, speed and parity of an optimised build with its parent',
    detail: `The service runs both versions alternately on the machine that would serve them, on the half of the users that no build is
calibrated on; with --labels, on the users in the file. Speed is the time of an inference. The ratio is the median of many
rounds, with the range of the middle 80 % of them.`,
    example: 'tandem build compare repurchase 3 --labels held-out.csv',
  })
    .argument('<predictor>')
    .argument('<build>', 'the model version of the build', parseWhole(1))
    .option('--users <count>', 'the largest number of users to compare (default: 2,000)', parseWhole(1))
    .option(
      '--labels <file>',
      'a CSV file user_id,label with observed labels of users outside the training of both models',
    )
    .action(async (predictor, build, { users, labels: file, ...options }) => {
      if (users !== undefined && file !== undefined) throw usersAndLabels();
      const labels = file === undefined ? undefined : await readLabels(resolve(cli.cwd, file));
      const asked = given({ users, labels });
      const call = { signal: cli.signal };
      const comparison = await connect(cli, options).compareBuild(predictor, String(build), asked, call);
      present(cli, options, comparison, () => renderComparison(comparison));
    });
}

function usersAndLabels(): CommandFailure {
  return usageError('--labels already selects the users, so --users cannot be used', 'leave out --users');
}

/** The most labels that the service accepts. */
const MOST_LABELS = 10_000;
const COLUMNS = ['user_id', 'label'];

/** Reads the labels of users from a CSV file with the head `user_id,label`. Rejects with a CommandFailure. */
export async function readLabels(file: string): Promise<readonly Label[]> {
  const labels: Label[] = [];
  for await (const { names, rows } of readCsv(file)) {
    const [idAt = -1, labelAt = -1] = COLUMNS.map((name) => names.indexOf(name));
    if (idAt < 0 || labelAt < 0) throw wrongLine(file, 1, `the header is "${names.join(',').slice(0, 80)}"`);
    for (const { line, cells } of rows) {
      const [userId = '', text = ''] = [cells[idAt], cells[labelAt]];
      const label = Number(text);
      if (text.trim() === '' || !Number.isFinite(label)) throw wrongLine(file, line, 'its label is not a number');
      labels.push({ userId, label });
    }
  }
  if (labels.length === 0) throw wrongLine(file, 2, 'the file has no user');
  if (labels.length <= MOST_LABELS) return labels;
  throw new CommandFailure(`${file} has ${labels.length} labels, more than the limit of ${MOST_LABELS}`, {
    remedy: `keep the header and draw ${MOST_LABELS} of the lines: (head -n 1 ${file}; tail -n +2 ${file} | shuf -n ${MOST_LABELS}) > sample.csv`,
  });
}

function wrongLine(file: string, line: number, problem: string): CommandFailure {
  const remedy = 'write the header user_id,label, and then lines with a user id and a number, such as 0 or 1';
  return lineFailure(file, line, problem, remedy);
}
