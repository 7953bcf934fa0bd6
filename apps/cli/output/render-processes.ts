/** Processes as people read them: a line for each model version that one keeps loaded. */
import type { ProcessView } from '@tandem/client/wire';
import type { Paint, Tone } from '../command-line/paint.ts';
import { ago } from './quantities.ts';
import { printable, renderTable } from './table.ts';

type LoadedModel = ProcessView['models'][number];

const TONES: Readonly<Record<LoadedModel['state'], Tone>> = { ready: 'good', loading: 'warn', failed: 'bad' };

export function renderProcesses(processes: readonly ProcessView[], paint: Paint, now: number): string[] {
  if (processes.length === 0) return ['no process is alive; start one: tandem up'];
  const titles = ['process', 'host', 'pid', 'release', 'started', 'predictor', 'version', 'state', 'since', 'why'];
  const rows = processes.flatMap((one) => {
    const { kind, host, pid, release, startedAt, models } = one;
    const who = [kind, printable(host), String(pid), printable(release), ago(startedAt, now)];
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
  return renderTable(
    titles.map((title) => ({ title })),
    rows,
  );
}
