/** `tandem audit list`: who moved what, when and why. */
import type { AuditRow } from '@tandem/client/audit';
import type { Command } from 'commander';
import { type ApiOptions, type Cli, createApiCommand, group, parseWhole, present } from './command-line/command.ts';
import { connect } from './command-line/environment.ts';
import { moment } from './output/quantities.ts';
import { printable, renderClipped } from './output/table.ts';

export function auditCommands(cli: Cli): Command {
  return group('audit', 'who moved what, when and why', [auditListCommand(cli)]);
}

interface Options extends ApiOptions {
  readonly predictor?: string;
  readonly limit: number;
  readonly before?: string;
}

function auditListCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'list',
    description: 'list who moved what, newest first, and why',
    example: 'tandem audit list --predictor repurchase',
    detail: 'The figures that a step rests on are in --json.',
  })
    .option('--predictor <name>', 'of this predictor only')
    .option('--limit <count>', 'at most so many', parseWhole(1), 20)
    .option('--before <number>', 'those before this row: the last one of a page')
    .action(async ({ predictor, limit, before, ...options }: Options) => {
      const page = await connect(cli, options).audit({
        limit,
        ...(predictor === undefined ? {} : { predictor }),
        ...(before === undefined ? {} : { before }),
      });
      present(cli, options, page, ({ rows }) => render(rows));
    });
}

function render(rows: readonly AuditRow[]): string[] {
  if (rows.length === 0) return ['nothing was moved yet'];
  const titles = ['number', 'at', 'who', 'what', 'predictor', 'why'];
  return renderClipped(
    titles.map((title) => ({ title })),
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
