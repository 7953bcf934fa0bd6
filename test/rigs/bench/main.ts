/**
 * `npm run bench` measures ratios to named baselines in one run on one machine. Each figure is the median of
 * alternating rounds. Servers, baselines and load share the machine, so the absolute figures are for orientation only.
 *
 * Exits with 1 if a section failed and with 2 for a wrong command line. A missed target does not change the exit code;
 * the table shows it.
 */
import { join, resolve } from 'node:path';
import { namedIn, readCommandLine, wholeNumber } from '../command-line.ts';
import { batch } from './batch.ts';
import { bulk } from './bulk.ts';
import { demand } from './demand.ts';
import { embedded } from './embedded.ts';
import { grpc } from './grpc.ts';
import { live } from './live.ts';
import { currentCommit, currentLoad, describeMachine } from './machine.ts';
import { measureSection } from './measure-section.ts';
import { processes } from './processes.ts';
import { profile } from './profile.ts';
import { reads } from './reads.ts';
import { refresh } from './refresh.ts';
import { type Report, renderTable, type SectionResult, writeReport } from './report.ts';
import { rollouts } from './rollouts.ts';
import type { BenchOptions, Section } from './section.ts';
import { startServersUntilSignal } from './service.ts';
import { takeover } from './takeover.ts';
import { watched } from './watched.ts';

const root = resolve(import.meta.dirname, '../../..');
const sections: readonly Section[] = [
  reads,
  bulk,
  live,
  batch,
  takeover,
  rollouts,
  watched,
  refresh,
  demand,
  processes,
  profile,
  embedded,
  grpc,
];
const names = sections.map((one) => one.name).join(',');

const HELP = `npm run bench -- [options]
  --only ${names}   sections to measure (default: all)
  --users 100000        users of the sections that read
  --many-users 1000000  users of the large run, of re-scoring and of budgets
  --rounds 3            rounds of each measurement; a figure is the median of its rounds
  --seconds 5           seconds of load in a round
  --json <file>         file for the figures (default: .tandem/bench.json)
`;

interface CommandLine {
  readonly chosen: readonly Section[];
  readonly options: BenchOptions;
  readonly json: string;
}

const text = (value: string) => ({ type: 'string', default: value }) as const;
const OPTIONS = {
  ...{ only: text(names), users: text('100000'), 'many-users': text('1000000') },
  ...{ rounds: text('3'), seconds: text('5'), json: { type: 'string' } as const },
};

const commandLine = readCommandLine(HELP, OPTIONS, (values): CommandLine => {
  const whole = (name: 'users' | 'many-users' | 'rounds' | 'seconds', most: number) =>
    wholeNumber(name, values[name], 1, most);
  const options = {
    ...{ users: whole('users', 10_000_000), manyUsers: whole('many-users', 50_000_000) },
    ...{ rounds: whole('rounds', 99), seconds: whole('seconds', 600) },
  };
  // Relative to the folder in which the user called npm, not to the one in which npm runs its scripts.
  const json = values.json ? resolve(process.env.INIT_CWD ?? '.', values.json) : join(root, '.tandem/bench.json');
  return { chosen: namedIn('only', values.only, sections), options, json };
});

const say = (line: string) => process.stderr.write(`bench: ${line}\n`);

async function main({ chosen, options, json }: CommandLine): Promise<number> {
  const loadAtStart = currentLoad();
  say('starting Postgres and Redis');
  const servers = await startServersUntilSignal();
  try {
    const machine = await describeMachine(servers, loadAtStart);
    const results: SectionResult[] = [];
    for (const section of chosen) {
      results.push(await measureSection(section.name, say, (tell) => section.measure(servers, options, tell)));
    }
    const date = new Date().toISOString();
    const report: Report = { date, commit: currentCommit(root), machine, options, sections: results };
    await writeReport(json, report);
    process.stdout.write(`${renderTable(report)}\n`);
    say(`the figures are in ${json}`);
    return results.some(({ error }) => error !== null) ? 1 : 0;
  } finally {
    await servers.stop();
  }
}

try {
  process.exitCode = await main(commandLine);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
