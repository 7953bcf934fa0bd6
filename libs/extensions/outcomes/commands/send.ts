/** `tandem outcome send`: reports what users did after they were served. */
import { resolve } from 'node:path';
import {
  type Cli,
  createApiCommand,
  given,
  group,
  type OptionsOf,
  parseNumber,
  present,
} from '@tandem/commands/command';
import { connectApi } from '@tandem/commands/environment';
import { CommandFailure, usageError } from '@tandem/commands/failure';
import { count, printable, renderFields } from '@tandem/commands/output/text';
import { isProblem } from '@tandem/transport/client-errors';
import { MAX_OUTCOMES, type OutcomeInput, type OutcomeResult, outcomeCalls } from '../client.ts';
import { readOutcomes } from './read-outcomes.ts';

export function outcomeCommands(cli: Cli) {
  return group('outcome', 'report what users did after they were served', [outcomeSendCommand(cli)]);
}

function createSendCommand() {
  return createApiCommand({
    name: 'send',
    description: 'send an outcome of a user, or many from a file; rollouts count outcomes of exposed users',
    detail: `A file is CSV with a header line (.csv), or has one JSON object in each line. Each outcome has id, userId and name, and
optionally source, value and time. An empty value is rejected. A file can be sent repeatedly, because each id counts once.`,
    example: 'tandem outcome send 42 order --value 31.50',
  })
    .argument('[userId]')
    .argument('[name]', 'the name of the outcome in the plan of the rollout, such as order')
    .option('--value <number>', 'the number that is added to a sum (default: 1)', parseNumber)
    .option('--time <moment>', 'the time of the outcome, ISO 8601, at most 90 days ago (default: now)')
    .option('--id <id>', 'the id of the outcome (default: a new one)')
    .option('--source <source>', 'the sender (default: tandem-cli)')
    .option('--file <path>', 'send the outcomes in this file');
}

type Options = OptionsOf<typeof createSendCommand>;

function outcomeSendCommand(cli: Cli) {
  return createSendCommand().action(async (userId, name, options) => {
    if (options.file === undefined) await sendOne(cli, userId, name, options);
    else await sendFile(cli, options.file, userId, options);
  });
}

async function sendOne(
  cli: Cli,
  userId: string | undefined,
  name: string | undefined,
  options: Options,
): Promise<void> {
  if (userId === undefined || name === undefined)
    throw usageError('the user or the name of the outcome is missing', 'add both, or use --file');
  const { value, time, id, source } = options;
  const outcome: OutcomeInput = {
    ...{ userId, name },
    ...given({ value, time, id, source }),
  };
  const [result] = await outcomeCalls(connectApi(cli, options)).sendOutcomes([outcome], { signal: cli.signal });
  if (result === undefined) throw new CommandFailure('the service acknowledged no outcome', { remedy: 'see its log' });
  present(cli, options, result, () =>
    renderFields([
      [result.status, `${printable(name)} of user ${printable(result.userId)}`],
      ['outcome', printable(`${result.id} of ${result.source}`)],
    ]),
  );
}

async function sendFile(cli: Cli, file: string, userId: string | undefined, options: Options): Promise<void> {
  const { value, time, id, source } = options;
  if ([userId, value, time, id].some((one) => one !== undefined)) {
    throw usageError(
      'the options of a single outcome cannot be combined with a file',
      'leave out the options of a single outcome',
    );
  }
  const client = outcomeCalls(connectApi(cli, options));
  const sums: Record<OutcomeResult['status'], number> = { accepted: 0, duplicate: 0, erased: 0 };
  for await (const batch of readOutcomes(resolve(cli.cwd, file), MAX_OUTCOMES)) {
    const sent = source === undefined ? batch : batch.map((outcome) => ({ source, ...outcome }));
    const before = Object.values(sums).reduce((sum, of) => sum + of);
    const results = await client.sendOutcomes(sent, { signal: cli.signal }).catch((error: unknown) => {
      throw inFile(error, file, before);
    });
    for (const { status } of results) sums[status]++;
  }
  present(cli, options, sums, () => renderFields(Object.entries(sums).map(([status, of]) => [status, count(of)])));
}

/**
 * Names the place of a problem in the file, because the service names its place in the request.
 * @param before outcomes of the file in earlier requests
 */
function inFile(error: unknown, file: string, before: number): unknown {
  const place = isProblem(error) ? /^outcomes\[(\d+)\]\.?(.*)$/.exec(error.field ?? '') : null;
  if (!isProblem(error) || !place) return error;
  const no = count(before + Number(place[1]) + 1);
  return new CommandFailure(`${file}, outcome ${no}, ${place[2]}: ${error.message}`, {
    remedy: `${error.remedy ?? 'correct it'}; ${count(before)} outcomes were accepted before, and you can send the whole file again`,
    cause: error,
  });
}
