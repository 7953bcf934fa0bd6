/**
 * `npm run bench:laws` measures each law of growth on servers of its own and compares the figures with their bounds.
 *
 * Exits with 1 if a bound is not met or a law failed, and with 2 for a wrong command line.
 */
import { join, resolve } from 'node:path';
import { namedIn, readCommandLine } from '../../command-line.ts';
import { currentCommit, currentLoad, describeMachine, type Machine } from '../machine.ts';
import { measureSection } from '../measure-section.ts';
import { isMet, renderTable, type SectionResult, writeReport } from '../report.ts';
import { type BenchServers, startServers } from '../service.ts';
import type { Law } from './law.ts';
import { LAWS } from './laws.ts';

const root = resolve(import.meta.dirname, '../../../..');
const names = LAWS.map((one) => one.name).join(',');

const HELP = `npm run bench:laws -- [options]
  --only ${names}   laws to measure (default: all)
  --json <file>     file for the figures (default: .tandem/laws.json)
`;

interface CommandLine {
  readonly chosen: readonly Law[];
  readonly json: string;
}

const OPTIONS = { only: { type: 'string', default: names }, json: { type: 'string' } } as const;

const commandLine = readCommandLine(HELP, OPTIONS, (values): CommandLine => {
  // Relative to the folder in which the user called npm, not to the one in which npm runs its scripts.
  const json = values.json ? resolve(process.env.INIT_CWD ?? '.', values.json) : join(root, '.tandem/laws.json');
  return { chosen: namedIn('only', values.only, LAWS), json };
});

const say = (line: string) => process.stderr.write(`laws: ${line}\n`);

/** The servers of the law that is being measured. An interrupt stops these servers. */
let starting: Promise<BenchServers> | undefined;

async function measureLaw(law: Law, loadAtStart: number): Promise<{ machine: Machine | null; result: SectionResult }> {
  let machine: Machine | null = null;
  starting = startServers();
  try {
    const servers = await starting;
    machine = await describeMachine(servers, loadAtStart);
    const result = await measureSection(`${law.name}: ${law.promise}`, say, (tell) => law.measure(servers, tell));
    return { machine, result };
  } finally {
    await starting.then((one) => one.stop());
    starting = undefined;
  }
}

async function main({ chosen, json }: CommandLine): Promise<number> {
  const leave = (code: number) => void starting?.then((one) => one.stop()).finally(() => process.exit(code));
  process.on('SIGINT', () => leave(130));
  process.on('SIGTERM', () => leave(143));
  process.on('SIGHUP', () => leave(129));
  const loadAtStart = currentLoad();
  const sections: SectionResult[] = [];
  let machine: Machine | null = null;
  for (const law of chosen) {
    const measured = await measureLaw(law, loadAtStart);
    machine ??= measured.machine;
    sections.push(measured.result);
  }
  if (!machine) return 1;
  const report = { date: new Date().toISOString(), commit: currentCommit(root), machine, options: null, sections };
  await writeReport(json, report);
  process.stdout.write(`${renderTable(report)}\n`);
  say(`the figures are in ${json}`);
  return sections.every(({ error, figures }) => error === null && figures.every((one) => isMet(one) !== false)) ? 0 : 1;
}

try {
  process.exitCode = await main(commandLine);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
