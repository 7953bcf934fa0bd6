/** `tandem audit list`: who moved what, when and why. */
import type { AuditRow } from '@tandem/client/audit';
import type { Command } from 'commander';
import { type Cli, createApiCommand, given, group, type PageOptions, paged, present } from './command-line/command.ts';
import { connect } from './command-line/environment.ts';
import { moment, printable, renderClipped } from './output/text.ts';

export function auditCommands(cli: Cli): Command {
  return group('audit', 'who moved what, when and why', [auditListCommand(cli)]);
}

function auditListCommand(cli: Cli): Command {
  const command = createApiCommand({
    name: 'list',
    description: 'list changes of pointers and keys with actor and reason, newest first',
    example: 'tandem audit list --predictor repurchase',
    detail: 'The figures that a step rests on are in --json.',
  }).option('--predictor <name>', 'of this predictor only');
  return paged(command, '--before <number>', 'those before this row: the last one of a page').action(
    async ({ predictor, limit, before, ...options }: PageOptions) => {
      const page = await connect(cli, options).audit({ limit, ...given({ predictor, before }) });
      present(cli, options, page, ({ rows }) => render(rows));
    },
  );
}

function render(rows: readonly AuditRow[]): string[] {
  if (rows.length === 0) return ['nothing was moved yet'];
  const titles = ['number', 'at', 'who', 'what', 'predictor', 'why'];
  return renderClipped(
    titles,
    rows.map(({ number, at, actor, action, predictor, detail }) => [
      number,
      moment(at),
      printable(actor),
      action,
      predictor ?? '',
      printable(typeof detail.reason === 'string' ? detail.reason : ''),
    ]),
  );
}
