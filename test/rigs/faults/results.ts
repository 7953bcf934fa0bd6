/** Records results of runs. results.ndjson has one line per run, and RESULTS.md is rendered from it. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { ControlRun, FaultRun, Results, RunHead } from './kept-results.ts';
import { pageOf } from './results-page.ts';
import type { FaultsResult } from './try-faults.ts';

const FILE = fileURLToPath(new URL('./results.ndjson', import.meta.url));
const PAGE = fileURLToPath(new URL('./RESULTS.md', import.meta.url));

export function headOfRun(seed: number, startedAt: number): RunHead {
  return {
    at: new Date().toISOString().slice(0, 19),
    commit: commitNow(),
    machine: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform}, Node.js ${process.version}`,
    loadAverage: Math.round((loadavg()[0] ?? 0) * 10) / 10,
    seed,
    seconds: Math.round((performance.now() - startedAt) / 1_000),
  };
}

export function faultRunOf(head: RunHead, how: string, { faults, checker, failed }: FaultsResult): FaultRun {
  const { reads, events, assignments, calls, work, violations } = checker;
  const { answers, fresh, freshReads, freshOfChanged } = reads;
  const { acknowledged, duplicates } = events;
  const examples = [...new Map(violations.first.map(({ rule, why }) => [rule, { rule, why }])).values()];
  return {
    ...head,
    how,
    ...{ answers, fresh, freshReads, freshOfChanged, acknowledged, duplicates, examples, failed, faults },
    runs: calls.outcomes.get('run 202') ?? 0,
    moves: sumOf(assignments.moves),
    ofOtherArms: sumOf(assignments.served) - (assignments.served.get('stable') ?? 0),
    work: Object.fromEntries(work),
    slowest: Object.fromEntries([...calls.slowest].map(([kind, ms]) => [kind, Math.round(ms)])),
    violations: Object.fromEntries(violations.counts),
  };
}

function sumOf(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, one) => sum + one, 0);
}

/** Appends to the file and rewrites the page. */
export function record(added: Partial<Results>): void {
  const kept = readResults();
  const newest = new Map([...kept.controls, ...(added.controls ?? [])].map((one) => [one.control.name, one]));
  const faultRuns = [...kept.faultRuns, ...(added.faultRuns ?? [])];
  const controls = [...newest.values()].sort((a, b) => compareNames(a.control.name, b.control.name));
  const lines = [...faultRuns, ...controls].map((one) => `${JSON.stringify(one)}\n`);
  writeFileSync(FILE, lines.join(''));
  writeFileSync(PAGE, pageOf({ faultRuns, controls }));
}

/** Reads the recorded results. Returns an empty list if there are none. */
function readResults(): Results {
  const lines = existsSync(FILE) ? readFileSync(FILE, 'utf8').split('\n').filter(Boolean) : [];
  const kept = lines.map((line) => JSON.parse(line) as FaultRun | ControlRun);
  return {
    faultRuns: kept.filter((one): one is FaultRun => 'faults' in one),
    controls: kept.filter((one): one is ControlRun => 'control' in one),
  };
}

const compareNames = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true });

function commitNow(): string {
  const git = (...args: readonly string[]) =>
    execFileSync('git', args, { cwd: fileURLToPath(new URL('.', import.meta.url)), encoding: 'utf8' }).trim();
  try {
    const commit = git('rev-parse', '--short', 'HEAD');
    return git('status', '--porcelain', '--untracked-files=no') === '' ? commit : `${commit} changed`;
  } catch {
    return 'unknown';
  }
}
