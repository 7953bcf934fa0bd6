/**
 * The folder `.tandem/`: whose it is now, and which processes were started from it.
 *
 * Two `tandem up` on one folder would fight over its servers, so the first holds it until it ends. Nothing has to be
 * cleaned up after a `kill -9`: a claim counts only while its very process runs.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { explainFolderError, LocalServerError } from './local-server-error.ts';
import { type EndStep, endProcess, isRunning, type ProcessIdentity, readProcess } from './process-identity.ts';

interface RecordedProcess {
  readonly name: string;
  readonly pid: number;
  readonly startedAt: string;
}

export interface StateDir {
  /** Absolute, links resolved. */
  readonly path: string;
  /** Remembers a process under a name (`api`, `worker-1`), so that a later start can take over what a kill left behind. */
  recordProcess(name: string, pid: number): void;
  forgetProcess(name: string): void;
  /**
   * The recorded processes that still run, of this holder and of earlier holders. Records of ended ones are removed.
   */
  listProcesses(): RecordedProcess[];
  /** Ends a recorded process by its steps and forgets it. Returns false when it outlived them all. */
  endRecorded(recorded: RecordedProcess, steps: readonly EndStep[]): Promise<boolean>;
  /** Lets the next `tandem up` have the folder. */
  release(): void;
}

const CLAIM_ATTEMPTS = 6;

interface StateDirOptions {
  readonly path: string;
  readonly random?: () => number;
}

/** Creates the folder where needed and claims it. Throws `in_use`, naming the holder's process id, or `no_permission`. */
export async function openStateDir({ path, random = Math.random }: StateDirOptions): Promise<StateDir> {
  try {
    mkdirSync(join(path, 'claims'), { recursive: true });
    mkdirSync(join(path, 'processes'), { recursive: true });
    const folder = realpathSync(path);
    const release = await claim(folder, random);
    return { path: folder, ...processRecords(join(folder, 'processes')), release };
  } catch (error) {
    throw explainFolderError(path, error);
  }
}

/**
 * Lay a claim, then look for others: of two claims at least one side sees the other and backs off, so there are never two
 * holders, and no claim is ever taken away from a live process. Two that start at once may both back off: hence the
 * attempts, at random distances.
 */
async function claim(folder: string, random: () => number): Promise<() => void> {
  const claims = join(folder, 'claims');
  const own = `${process.pid}-${randomUUID()}.json`;
  let holder: ProcessIdentity | undefined;
  for (let attempt = 0; attempt < CLAIM_ATTEMPTS; attempt += 1) {
    if (attempt > 0) await sleep(20 + random() * 80);
    writeIdentity(claims, own, process.pid);
    holder = findOther(claims, own);
    if (holder === undefined) return () => rmSync(join(claims, own), { force: true });
    rmSync(join(claims, own), { force: true });
  }
  const who = `process ${holder?.pid} (${holder?.command})`;
  throw new LocalServerError('in_use', `${folder} is in use by ${who}.`, `Stop that one first: kill ${holder?.pid}`);
}

function findOther(claims: string, own: string): ProcessIdentity | undefined {
  for (const name of identityFiles(claims)) {
    if (name === own) continue;
    const other = readIdentity(claims, name);
    if (other !== undefined && isRunning(other)) return readProcess(other.pid);
    rmSync(join(claims, name), { force: true });
  }
  return undefined;
}

function processRecords(folder: string): Omit<StateDir, 'path' | 'release'> {
  const forgetProcess = (name: string) => rmSync(join(folder, `${name}.json`), { force: true });
  return {
    recordProcess: (name, pid) => writeIdentity(folder, `${name}.json`, pid),
    forgetProcess,
    listProcesses: () =>
      identityFiles(folder).flatMap((file) => {
        const recorded = readIdentity(folder, file);
        if (recorded !== undefined && isRunning(recorded))
          return [{ name: file.slice(0, -'.json'.length), ...recorded }];
        rmSync(join(folder, file), { force: true });
        return [];
      }),
    endRecorded: async (recorded, steps) => {
      const ended = await endProcess(recorded, steps);
      if (ended) forgetProcess(recorded.name);
      return ended;
    },
  };
}

function identityFiles(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.json'));
}

/** Appears complete or not at all: a reader never sees half a record. */
function writeIdentity(folder: string, file: string, pid: number): void {
  const startedAt = readProcess(pid)?.startedAt;
  // It has ended already: there is nothing to find later.
  if (startedAt === undefined) return;
  const temporary = join(folder, `${file}.new`);
  writeFileSync(temporary, JSON.stringify({ pid, startedAt }));
  renameSync(temporary, join(folder, file));
}

function readIdentity(folder: string, file: string): { pid: number; startedAt: string } | undefined {
  try {
    const { pid, startedAt }: { pid?: unknown; startedAt?: unknown } = JSON.parse(
      readFileSync(join(folder, file), 'utf8'),
    );
    return typeof pid === 'number' && typeof startedAt === 'string' ? { pid, startedAt } : undefined;
  } catch {
    return undefined;
  }
}
