/** Runs the tests of a combination in a separate process, and counts the results. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import type { Suite } from './combinations.ts';
import type { Place } from './spaced-copy.ts';
import { type Tally, tallyOf } from './tally.ts';

export interface SuiteRun {
  readonly suite: Suite;
  readonly node: string;
  readonly place: Place;
  /** The variables that `test/containers/choose-servers.ts` reads. */
  readonly servers: Readonly<Record<string, string>>;
  /** The path of the log without its extension. The tests' output goes to `<log>.log`. */
  readonly log: string;
}

/** Four times the duration on an idle machine. */
const ENDS_WITHIN_MS = 2_400_000;
const TO_END_MS = 30_000;
/** Fewer interleavings than in `npm test`, because differences between versions show in the first ones. */
const QUICK = '40';

/** Runs the tests and returns the counts. Rejects if a signal ended the run. */
export async function runSuite({ suite, node, place, servers, log }: SuiteRun): Promise<Tally> {
  const { root, account } = place;
  // A folder in which the account that runs the tests may write.
  const work = join(root, '.tandem/matrix-run');
  mkdirSync(work, { recursive: true });
  const { uid, gid } = account ?? {};
  if (account) chownSync(work, account.uid, account.gid);
  const report = join(work, 'report.json');
  rmSync(report, { force: true });
  const output = openSync(`${log}.log`, 'w');
  const args = [
    join(root, 'node_modules/vitest/vitest.mjs'),
    ...['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
    ...suite.projects.flatMap((name) => ['--project', name]),
    ...suite.files,
  ];
  const child = spawn(node, args, {
    ...{ cwd: root, stdio: ['ignore', output, output], detached: true },
    ...(uid === undefined || gid === undefined ? {} : { uid, gid }),
    env: environment({ node, root, work, servers }),
  });
  closeSync(output);
  const timer = setTimeout(() => endGroup(child.pid), ENDS_WITHIN_MS);
  const forwarding = forwardSignals(() => endGroup(child.pid));
  const [code] = await once(child, 'exit').finally(() => clearTimeout(timer));
  if (forwarding.end()) throw new Error('stopped before the last combination');
  return tallyOf(report, root, code === 0, `${log}.log`);
}

function environment(run: { node: string; root: string; work: string; servers: SuiteRun['servers'] }) {
  const path = [dirname(run.node), join(run.root, 'node_modules/.bin'), process.env.PATH].join(delimiter);
  const { TMPDIR, LANG, DOCKER_HOST, HTTPS_PROXY, HTTP_PROXY, NO_PROXY } = process.env;
  const passed = { TMPDIR, LANG, DOCKER_HOST, HTTPS_PROXY, HTTP_PROXY, NO_PROXY };
  return { ...passed, PATH: path, HOME: run.work, CI: '1', FRESHNESS_RUNS: QUICK, ...run.servers };
}

/**
 * Forwards signals, because the tests are not in the terminal's process group. `end` returns whether there was a
 * signal.
 */
function forwardSignals(endRun: () => void): { end(): boolean } {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let came = false;
  const listener = () => {
    came = true;
    endRun();
  };
  for (const signal of signals) process.on(signal, listener);
  return {
    end() {
      for (const signal of signals) process.off(signal, listener);
      return came;
    },
  };
}

/** Kills the whole process group, because the workers of a hanging run hang too. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  const send = (signal: NodeJS.Signals) => {
    try {
      process.kill(-pid, signal);
    } catch {
      // The processes have ended.
    }
  };
  send('SIGTERM');
  setTimeout(() => send('SIGKILL'), TO_END_MS).unref();
}
