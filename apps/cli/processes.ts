/** `tandem process`: lists the live processes and the model versions that each has loaded. */
import type { ProcessView } from '@tandem/client/wire';
import { type Cli, createApiCommand, group, type Paint, present, type Tone } from '@tandem/commands/command';
import { ago, printable, renderTable } from '@tandem/commands/output/text';
import { connect } from './client/connect.ts';

export function processCommands(cli: Cli) {
  return group('process', 'the live processes: APIs, workers and embedded readers', [processListCommand(cli)]);
}

function processListCommand(cli: Cli) {
  return createApiCommand({
    name: 'list',
    description: 'list the live processes and the model versions that each has loaded',
    example: 'tandem process list',
  }).action(async (options) => {
    const processes = await connect(cli, options).processes();
    present(cli, options, { processes }, () => renderProcesses(processes, cli.paint, cli.now()));
  });
}

type LoadedModel = ProcessView['models'][number];

const TONES: Readonly<Record<LoadedModel['state'], Tone>> = { ready: 'good', loading: 'warn', failed: 'bad' };

export function renderProcesses(processes: readonly ProcessView[], paint: Paint, now: number): string[] {
  if (processes.length === 0) return ['no process is running; start one: tandem up'];
  const titles = [
    'process',
    'host',
    'pid',
    'release',
    'protocol',
    'started',
    'predictor',
    'version',
    'state',
    'since',
    'why',
  ];
  const rows = processes.flatMap((one) => {
    const { kind, host, pid, release, protocol, startedAt, models } = one;
    const who = [kind, printable(host), String(pid), printable(release), String(protocol ?? ''), ago(startedAt, now)];
    if (models.length === 0) return [[...who, '', '', 'nothing to load', '', '']];
    return models.map(({ predictor, modelVersion, state, error, since }) => [
      ...who,
      predictor,
      modelVersion,
      paint(TONES[state], state),
      ago(since, now),
      printable(error ?? ''),
    ]);
  });
  return renderTable(titles, rows);
}
