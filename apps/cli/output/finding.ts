/** A finding of a check: ok, a warning or an error, with its remedy. */
import { type Cli, type CommonOptions, type Paint, present, type Tone } from '../command-line/command.ts';
import { CommandFailure } from '../command-line/failure.ts';
import { counted, printable } from './text.ts';

type Level = 'ok' | 'warning' | 'error';

export interface Finding {
  /** The checked part, for example `postgres`. */
  readonly subject: string;
  readonly level: Level;
  readonly text: string;
  readonly remedy?: string;
}

const TONES: Readonly<Record<Level, Tone>> = { ok: 'good', warning: 'warn', error: 'bad' };

export const ok = (subject: string, text: string): Finding => ({ subject, level: 'ok', text });
export const warning = (subject: string, text: string, remedy: string): Finding => ({
  subject,
  level: 'warning',
  text,
  remedy,
});
export const failed = (subject: string, text: string, remedy: string): Finding => ({
  subject,
  level: 'error',
  text,
  remedy,
});

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
  const of = (level: Level) => findings.filter((finding) => finding.level === level).length;
  const [errors, warnings] = [of('error'), of('warning')];
  if (errors + warnings === 0) return 'no problems found';
  return [errors > 0 ? counted(errors, 'error') : '', warnings > 0 ? counted(warnings, 'warning') : '']
    .filter((part) => part !== '')
    .join(', ');
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
