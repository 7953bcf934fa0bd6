/** Renders the report of a generation. */
import type { GenerationReportView, OutputShiftView, SegmentValueView } from '@tandem/client/wire';
import type { Paint, Tone } from '@tandem/commands/command';
import { count, duration, printable, renderFields, renderTable, right } from '@tandem/commands/output/text';

const VERDICTS: Readonly<Record<GenerationReportView['verdict'], readonly [Tone, string]>> = {
  passed: ['good', 'passed'],
  blocked: ['bad', 'held back'],
  not_compared: ['warn', 'not compared'],
};

export function renderReport(report: GenerationReportView, paint: Paint): string[] {
  const { predictor, generation, against, verdict, tookMs, figures, notes, sample } = report;
  const beside = against === null ? '' : `, compared with generation ${against} in ${duration(tookMs)}`;
  return [
    `${predictor}: generation ${generation}${beside}: ${paint(...VERDICTS[verdict])}`,
    ...crossingLines(report, paint),
    ...notes.map((note) => paint('warn', `  ${printable(note)}`)),
    ...(sample === null ? [] : ['', `  a sample: one of ${count(sample.oneIn)} users, ${count(sample.users)} in all`]),
    ...(figures === null ? [] : ['', ...renderFields([...usersAndFlips(figures), ...sinceFirst(report)], '  ')]),
    ...(figures === null ? [] : shiftTable(figures)),
    ...moverTable(report),
    ...(figures === null ? [] : figures.segments.flatMap(segmentTable)),
  ];
}

const SETTINGS = {
  maxPsi: 'PSI',
  maxFlipRate: 'flip rate',
  maxMeanDelta: 'mean absolute delta',
  minCoverage: 'coverage of users served',
} as const;

function crossingLines({ crossings }: GenerationReportView, paint: Paint): string[] {
  return crossings.map(({ setting, output, value, limit, against }) => {
    const beyond = setting === 'minCoverage' ? 'below' : 'above';
    const of = output === null ? '' : ` of ${printable(output)}`;
    return paint(
      'bad',
      `  ${SETTINGS[setting]}${of}${against ? ` against the ${against} generation` : ''} is ${value}, ${beyond} ${setting} ${limit}`,
    );
  });
}

type Figures = NonNullable<GenerationReportView['figures']>;

function usersAndFlips({ users, decision, answers }: Figures): (readonly [string, string | null])[] {
  const { before, now, both, added, gone } = users;
  return [
    [
      'users',
      `${count(before)} before, ${count(now)} now; ${count(both)} in both, ${count(added)} new, ${count(gone)} removed`,
    ],
    ['decision', decision && flipsText(decision)],
    ...answers.map(({ name, changed }) => [printable(name), `changed for ${percent(changed)} of users`] as const),
  ];
}

function flipsText({ output, threshold, up, down, rate }: NonNullable<Figures['decision']>): string {
  return `${printable(output)} ≥ ${threshold}: ${count(up)} up, ${count(down)} down (${percent(rate)})`;
}

/** Returns the PSI of each output against the first generation. */
function sinceFirst({ figures, first }: GenerationReportView): (readonly [string, string])[] {
  const indexes = figures?.outputs.flatMap(({ name, first: index }) =>
    index ? [`${short(index.psi)} of ${printable(name)}`] : [],
  );
  return indexes?.length ? [['first', `PSI against generation ${first}: ${indexes.join(', ')}`]] : [];
}

const SHIFT_TITLES = ['PSI', 'mean before', 'mean now', 'mean |Δ|', 'p99 |Δ|', 'changed'];

function shiftCells(shift: OutputShiftView | null): string[] {
  if (shift === null) return SHIFT_TITLES.map(() => '');
  const { psi, meanBefore, meanNow, meanAbsoluteDelta, p99AbsoluteDelta, changed } = shift;
  return [...[psi, meanBefore, meanNow, meanAbsoluteDelta, p99AbsoluteDelta].map(short), percent(changed)];
}

function shiftTable({ outputs }: Figures): string[] {
  if (outputs.length === 0) return [];
  const rows = outputs.map((output) => [printable(output.name), ...shiftCells(output)]);
  return ['', ...renderTable(['output', ...SHIFT_TITLES.map(right)], rows)];
}

function moverTable({ movers }: GenerationReportView): string[] {
  if (movers.length === 0) return [];
  const rows = movers.map(({ userId, before, now, delta }) => [printable(userId), ...[before, now, delta].map(short)]);
  return ['', ...renderTable(['moved furthest', ...['before', 'now', 'Δ'].map(right)], rows)];
}

function segmentTable({ column, values, others }: Figures['segments'][number]): string[] {
  const row = (name: string, { users, shift, flips }: SegmentValueView) => [
    name,
    count(users.now),
    ...shiftCells(shift),
    flips === null ? '' : percent(flips.rate),
  ];
  const rows = values.map((one) => row(one.value === null ? '(none)' : printable(one.value), one));
  const columns = [printable(column), ...['users', ...SHIFT_TITLES, 'flips'].map(right)];
  return ['', ...renderTable(columns, others === null ? rows : [...rows, row('(others)', others)])];
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}
