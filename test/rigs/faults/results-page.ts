/** Renders RESULTS.md from the recorded results of runs. */
import type { ControlRun, FaultRun, Results } from './kept-results.ts';
import { tableOfCells } from './markdown-table.ts';
import { tableOf } from './try-controls.ts';
import type { FaultResult } from './try-faults.ts';

export function pageOf({ faultRuns, controls }: Results): string {
  return `${[
    '# Faults: runs and results',
    '`npm run test:faults -- --record` writes this page from `results.ndjson`. [README.md](README.md) says how to run and repeat it, and how to read the results.',
    ...summaryOf(faultRuns),
    '## Runs',
    ...(faultRuns.length > 0 ? [runsTable(faultRuns)] : ['No run is recorded.']),
    '## Findings',
    ...findings(faultRuns),
    '## Faults and recovery times',
    'Each fault by its name, over all runs above. _Back_ is the time from the end of the fault until throughput is back: for two seconds, good answers per second reach half of their median before the fault. It counts whole seconds; 0 means that throughput never fell. _Not measured_: the next injection came first.',
    faultsTable(faultRuns),
    '## Negative controls',
    'Each control plants a known mistake into the processes under test. The checker must catch it. _Without the plant_, the same load and the same actions must give no violation.',
    ...(controls.length > 0
      ? [tableOf(controls.map(({ control }) => control)), controlsHead(controls)]
      : ['No control is recorded.']),
  ].join('\n\n')}\n`;
}

function summaryOf(runs: readonly FaultRun[]): readonly string[] {
  const sum = (of: (run: FaultRun) => number) => runs.reduce((all, run) => all + of(run), 0);
  const reads = sum(({ freshReads }) => freshReads);
  const stale = sum(({ violations }) => violations['stale called fresh'] ?? 0);
  const injected = sum(({ faults }) => faults.reduce((all, { backAfterMs }) => all + backAfterMs.length, 0));
  if (runs.length === 0) return [];
  return [
    `${number(sum((run) => run.answers))} answers judged in ${number(sum((run) => run.seconds))} s, ${number(sum((run) => run.fresh))} of them called fresh, in ${number(reads)} reads; ${number(sum((run) => run.freshOfChanged))} of the fresh ones are of users who had changed. ${number(sum((run) => run.acknowledged))} events acknowledged, ${number(sum((run) => run.runs))} runs started, ${number(sum(({ moves = 0 }) => moves))} changes of rollouts (${number(sum(({ ofOtherArms = 0 }) => ofOtherArms))} fresh answers of other arms than the stable one), ${number(injected)} faults injected. **Stale answers called fresh: ${number(stale)}.**`,
    ...workOf(runs),
    stale > 0
      ? 'Each of them is a defect; see below.'
      : `The meaning of zero: the answers of one read share a statement, so a read is one trial. No violation in ${number(reads)} trials means that fewer than 3/${number(reads)} = ${(3 / reads).toExponential(1)} of such reads are stale, at 95 % confidence, under these faults and this load. It does not prove that no read is stale.`,
  ];
}

/** Renders the counts of the deployment's work beside its answers, if runs have them. */
function workOf(runs: readonly FaultRun[]): readonly string[] {
  const counted = runs.flatMap(({ work }) => (work ? [work] : []));
  const sums: Record<string, number> = {};
  for (const work of counted) for (const [what, times] of Object.entries(work)) sums[what] = (sums[what] ?? 0) + times;
  return counted.length > 0 ? [`Counted in ${counted.length} of these runs: ${listed(sums)}.`] : [];
}

function runsTable(runs: readonly FaultRun[]): string {
  return tableOfCells(
    [
      'ended (UTC)',
      'commit',
      'machine',
      'load',
      'seed',
      'how',
      's',
      'answers',
      'fresh',
      'events',
      'runs',
      'work',
      'slowest, ms',
      'violations',
    ],
    runs.map((run) => [
      run.at,
      run.commit,
      run.machine,
      String(run.loadAverage),
      String(run.seed),
      `\`${run.how}\``,
      String(run.seconds),
      number(run.answers),
      number(run.fresh),
      number(run.acknowledged),
      String(run.runs),
      listed(run.work ?? {}),
      listed(run.slowest),
      listed(run.violations) || '0',
    ]),
  );
}

function findings(runs: readonly FaultRun[]): readonly string[] {
  const lines = runs.flatMap((run) => [
    ...run.examples.map(({ rule, why }) => `- seed ${run.seed}, ${run.at}: ${rule} (${run.violations[rule]}): ${why}`),
    ...run.failed.map((one) => `- seed ${run.seed}, ${run.at}: not as expected: ${one}`),
    ...(run.note === undefined ? [] : [`  - examined: ${run.note}`]),
  ]);
  return lines.length > 0 ? [lines.join('\n')] : ['No violation, and every fault ended as expected.'];
}

function faultsTable(runs: readonly FaultRun[]): string {
  const byName = Map.groupBy(
    runs.flatMap(({ faults }) => faults),
    ({ name }) => name,
  );
  return tableOfCells(
    ['fault', 'injection', 'times', 'back, s: median', 'longest', 'not measured', 'outcome', 'violations'],
    [...byName].sort(([a], [b]) => a.localeCompare(b)).map(([name, results]) => faultRow(name, results)),
  );
}

function faultRow(name: string, results: readonly FaultResult[]): readonly string[] {
  const all = results.flatMap(({ backAfterMs }) => backAfterMs);
  const told = all.filter((ms) => ms !== null).sort((a, b) => a - b);
  const outcomes = Map.groupBy(results, ({ outcome }) => outcome);
  return [
    name,
    results.at(-1)?.what ?? '',
    String(results.length),
    seconds(told[told.length >> 1]),
    seconds(told.at(-1)),
    String(all.length - told.length),
    [...outcomes].map(([outcome, of]) => (outcomes.size > 1 ? `${outcome} ${of.length}` : outcome)).join(', '),
    String(results.reduce((sum, { violations }) => sum + violations, 0)),
  ];
}

function controlsHead(controls: readonly ControlRun[]): string {
  const runs = controls.map(({ at, commit, seed }) => `${commit}, seed ${seed}, ${at.slice(0, 10)}`);
  return `Run on ${[...new Set(runs)].join('; ')}.`;
}

function listed(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${number(count)}`)
    .join(', ');
}

const number = (value: number) => value.toLocaleString('en');
const seconds = (ms: number | undefined) => (ms === undefined ? '' : (ms / 1_000).toFixed(1));
