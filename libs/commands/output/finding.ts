/** A finding of a check: ok, a warning or an error, with its remedy. */
import { type Cli, type CommonOptions, type Paint, present, type Tone } from '../command.ts';
import { CommandFailure } from '../failure.ts';
import { counted, printable } from './text.ts';

type Level = 'ok' | 'warning' | 'error';

// All that `check` and `doctor` find, by what it is about. `check` proves a config before its adoption, and `doctor` looks
// at a system that runs. A finding is written where its cause is known, with its text and its remedy.
type OfThisMachine = 'node' | 'disk' | 'processes' | 'port';
type OfPostgres = 'pooler' | 'postgres' | 'rights' | 'feature login' | 'connections' | 'clock';
type OfItsSettings = 'durability' | 'settings';
type OfRedis = 'redis' | 'rights' | 'eviction' | 'memory';
type OfLiveProcesses = 'keys' | 'fleet' | 'api' | 'worker' | 'embedded';
type OfConfig = 'config' | 'query' | 'keys' | 'users' | 'plan' | 'maxAge' | 'times' | 'budget';
type OfModel = 'model' | 'order' | 'parity' | 'cost' | 'sample' | 'outputs' | 'golden';

type OnlyOfDoctor = OfThisMachine | OfPostgres | OfItsSettings | OfRedis | OfLiveProcesses;
type OnlyOfCheck = OfConfig | OfModel;
type OfBoth = 'schema' | 'columns' | 'sources';
export type Subject = OnlyOfDoctor | OnlyOfCheck | OfBoth;

export interface Finding {
  /** The checked part, for example `postgres`, or `churn query` for a part of a predictor. */
  readonly subject: string;
  readonly level: Level;
  readonly text: string;
  readonly remedy?: string;
}

const TONES: Readonly<Record<Level, Tone>> = { ok: 'good', warning: 'warn', error: 'bad' };

type Raise = (subject: Subject, text: string, remedy: string) => Finding;
export const ok = (subject: Subject, text: string): Finding => ({ subject, level: 'ok', text });
export const warning: Raise = (subject, text, remedy) => ({ subject, level: 'warning', text, remedy });
export const failed: Raise = (subject, text, remedy) => ({ subject, level: 'error', text, remedy });

/** Returns findings on a predictor, which name it. */
export function ofPredictor(name: string, findings: readonly Finding[]): Finding[] {
  return findings.map((finding) => ({ ...finding, subject: `${name} ${finding.subject}` }));
}

/** Renders a line for each finding, with its remedy below. */
export function renderFindings(findings: readonly Finding[], paint: Paint): string[] {
  const subjects = Math.max(0, ...findings.map(({ subject }) => subject.length));
  return findings.flatMap(({ subject, level, text, remedy }) => {
    const start = `${paint(TONES[level], level.padEnd('warning'.length))}  ${subject.padEnd(subjects)}  `;
    const indent = ' '.repeat('warning'.length + subjects + 4);
    const [first = '', ...more] = text.split('\n');
    return [
      `${start}${printable(first)}`,
      ...more.map((line) => `${indent}${printable(line)}`),
      ...(remedy === undefined
        ? []
        : remedy.split('\n').map((line, i) => `${indent}${i === 0 ? '→' : ' '} ${printable(line)}`)),
    ];
  });
}

export function summarise(findings: readonly Finding[]): string {
  const counts = (['error', 'warning'] as const).flatMap((level) => {
    const found = findings.filter((finding) => finding.level === level).length;
    return found === 0 ? [] : [counted(found, level)];
  });
  return counts.join(', ') || 'no problems found';
}

/** Presents the findings of a command, with `more` lines below. Throws an already presented failure if one is an error. */
export function presentFindings<T extends { readonly findings: readonly Finding[] }>(
  cli: Cli,
  options: CommonOptions,
  report: T,
  more: readonly string[] = [],
): void {
  const { findings } = report;
  const summary = summarise(findings);
  present(cli, options, { ...report, summary }, () => [...renderFindings(findings, cli.paint), ...more, '', summary]);
  if (findings.some(({ level }) => level === 'error')) throw new CommandFailure('', { presented: true });
}
