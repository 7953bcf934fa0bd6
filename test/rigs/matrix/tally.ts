/** Counts the results in the report of a test run. */
import { readFileSync } from 'node:fs';

export interface Tally {
  readonly passed: number;
  /** The number of failed tests. A skipped test counts as failed, because it proves nothing. */
  readonly failed: number;
  /** Each failed test or file, with the first line of the reason. */
  readonly failures: readonly string[];
}

/** The report of vitest's JSON reporter. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

/**
 * Reads the report and counts its results.
 * @param path the path of the report; a missing report is a failure
 * @param root the folder that is removed from the names of files
 * @param endedWell whether the run's process ended with code 0
 * @param log the log file, which messages name
 */
export function tallyOf(path: string, root: string, endedWell: boolean, log: string): Tally {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, failures: [`the tests ended without a report: see ${log}`] };
  }
  let passed = 0;
  const failures: string[] = [];
  for (const { name, status, message, assertionResults } of report.testResults) {
    const file = name.startsWith(root) ? name.slice(root.length + 1) : name;
    const before = failures.length;
    for (const one of assertionResults) {
      if (one.status === 'passed') passed++;
      else failures.push(`${file}: ${one.fullName}: ${firstLine(one.failureMessages?.[0] ?? one.status)}`);
    }
    // The file could not be read, or its set-up failed.
    if (status === 'failed' && failures.length === before) failures.push(`${file}: ${firstLine(message ?? status)}`);
  }
  if (failures.length === 0 && !endedWell) failures.push(`an error outside of any test: see ${log}`);
  if (failures.length === 0 && passed === 0) failures.push('no test was found');
  return { passed, failed: failures.length, failures };
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
