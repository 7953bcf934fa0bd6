/**
 * Manages the folder `.tandem/`: which process owns it, and which processes were started from it.
 *
 * Two `tandem up` in one folder would compete for its servers, so the first one owns the folder until it ends. After a
 * `kill -9`, no cleanup is needed, since a claim is valid only while its own process runs.
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
  /** The absolute path, with links resolved. */
  readonly path: string;
  /**
   * Records a process under a name (`api`, `worker-1`), so that a later start can end processes that a kill left
   * running.
   */
  recordProcess(name: string, pid: number): void;
  forgetProcess(name: string): void;
  /**
   * Returns the recorded processes that still run, of this owner and of earlier ones. Records of ended processes are
   * removed.
   */
  listProcesses(): RecordedProcess[];
  /** Ends a recorded process by the given steps, and removes its record. Returns false if it outlived all steps. */
  endRecorded(recorded: RecordedProcess, steps: readonly EndStep[]): Promise<boolean>;
  /** Releases the folder for the next `tandem up`. */
  release(): void;
}

const CLAIM_ATTEMPTS = 6;

interface StateDirOptions {
  readonly path: string;
  readonly random?: () => number;
}

/** Creates the folder if needed, and claims it. Throws `in_use` with the owner's process id, or `no_permission`. */
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
 * Claims the folder: writes a claim, then looks for others. Of two claims, at least one side sees the other and backs
 * off, so there are never two owners, and no live process loses its claim. Two processes that start at once may both
 * back off, so there are several attempts with random pauses.
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
  throw new LocalServerError(
    'in_use',
    `${folder} is in use by ${who}.`,
    `Stop that process first: kill ${holder?.pid}`,
  );
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

/** Writes a file that appears completely or not at all, so that a reader never sees an incomplete record. */
function writeIdentity(folder: string, file: string, pid: number): void {
  const startedAt = readProcess(pid)?.startedAt;
  // The process has already ended, so no record is needed.
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
