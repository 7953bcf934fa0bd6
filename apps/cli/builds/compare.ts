/** `tandem build compare`: an optimised build beside the model version that it was made of, on real users. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { CommandFailure, EXIT_USAGE } from '../command-line/failure.ts';
import { parseWhole } from '../command-line/options.ts';
import { readNamedFile } from '../models/read-model-file.ts';
import { readLabels } from './read-labels.ts';
import { renderComparison } from './render-comparison.ts';

interface Options extends ApiOptions {
  readonly users?: number;
  readonly labels?: string;
}

export function buildCompareCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'compare',
    description: 'show size, answers, speed and parity of an optimised build beside those of its parent',
    detail: `The service runs both by turns on the machine that would serve them, on users of the half that no build is calibrated
on; with --labels, on the users in the file. Speed is the time that a run takes: the ratio is the median of many
rounds, with what nine of ten lie above and below.`,
    example: 'tandem build compare repurchase 3 --labels held-out.csv',
  })
    .argument('<predictor>')
    .argument('<build>', 'the build’s model version', parseWhole(1))
    .option('--users <count>', 'look at so many at most (default: 2,000)', parseWhole(1))
    .option('--labels <file>', 'a CSV file user_id,label: what became of users whom neither was trained on')
    .action(async (predictor: string, build: number, { users, labels: file, ...options }: Options) => {
      if (users !== undefined && file !== undefined) throw usersAndLabels();
      const labels = file === undefined ? undefined : readLabels((await readNamedFile(cli, file)).toString(), file);
      const asked = { ...(users === undefined ? {} : { users }), ...(labels === undefined ? {} : { labels }) };
      const call = { signal: cli.signal };
      const comparison = await connect(cli, options).compareBuild(predictor, String(build), asked, call);
      present(cli, options, comparison, () => renderComparison(comparison));
    });
}

function usersAndLabels(): CommandFailure {
  return new CommandFailure('labels say which users are looked at', {
    remedy: 'leave out --users',
    exitCode: EXIT_USAGE,
  });
}
