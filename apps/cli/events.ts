/** `tandem event send`: reports that a user's context changed. */
import type { EventResult } from '@tandem/client/wire';
import { type Cli, createApiCommand, given, group, parseJsonObject, present } from '@tandem/commands/command';
import { CommandFailure } from '@tandem/commands/failure';
import { printable, renderFields } from '@tandem/commands/output/text';
import { connect } from './client/connect.ts';

export function eventCommands(cli: Cli) {
  return group('event', "report changes of users' contexts", [eventSendCommand(cli)]);
}

function eventSendCommand(cli: Cli) {
  return createApiCommand({
    name: 'send',
    description: 'send an event; after its acknowledgement, no read returns an older prediction as fresh',
    example: 'tandem event send 42 --type order.placed',
  })
    .argument('<userId>')
    .requiredOption('--type <type>', 'what happened, such as order.placed')
    .option(
      '--data <json>',
      'feature values by name, as a JSON object, for predictors with features.asOf or features.overlayFor',
      parseJsonObject,
    )
    .option('--id <id>', 'the id of the event (default: a new one); a repeated id changes nothing')
    .option('--source <source>', 'the sender (default: tandem-cli)')
    .option('--time <moment>', 'the time of the event, ISO 8601 (default: when it is accepted)')
    .action(async (subject, { type, data, id, source, time, ...options }) => {
      const event = { subject, type, ...given({ data, id, source, time }) };
      const [result] = await connect(cli, options).sendEvents([event], { signal: cli.signal });
      if (result === undefined)
        throw new CommandFailure('the service acknowledged no event', { remedy: 'see its log' });
      present(cli, options, result, () => renderResult(result));
    });
}

function renderResult({
  status,
  userId,
  contextVersion,
  contextToken,
  id,
  source,
  ignored = [],
}: EventResult): string[] {
  return renderFields([
    [status, `user ${printable(userId)}, context version ${contextVersion}`],
    ['token', `${contextToken}  (require it in a read: --min-context ${contextToken})`],
    ['event', printable(`${id} of ${source}`)],
    [
      'ignored',
      ignored.length === 0 ? null : `${ignored.map(printable).join(', ')}  (no predictor takes it from events)`,
    ],
  ]);
}
