/**
 * Manages the folder `.tandem/`: which process owns it, and which processes were started from it.
 *
 * Two `tandem up` in one folder would compete for its servers, so the first one owns the folder until it ends. After a
 * `kill -9`, no cleanup is needed, since a claim is valid only while its own process runs.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { explainFolderError, LocalServerError } from './local-server-error.ts';
import {
  type EndStep,
  endProcess,
  isRunning,
  type ProcessIdentity,
  type ProcessRecord,
  readProcess,
  readRecord,
  writeWhole,
} from './process-identity.ts';

interface RecordedProcess extends ProcessRecord {
  readonly name: string;
}

const CLAIM_ATTEMPTS = 6;

export type StateDir = Awaited<ReturnType<typeof openStateDir>>;

/** Creates the folder if needed, and claims it. Throws `in_use` with the owner's process id, or `no_permission`. */
export async function openStateDir({
  path,
  random = Math.random,
}: {
  readonly path: string;
  readonly random?: () => number;
}) {
  try {
    mkdirSync(join(path, 'claims'), { recursive: true });
    mkdirSync(join(path, 'processes'), { recursive: true });
    const folder = realpathSync(path);
    const release = await claim(folder, random);
    return {
      /** The absolute path, with links resolved. */
      path: folder,
      ...processRecords(join(folder, 'processes')),
      /** Releases the folder for the next `tandem up`. */
      release,
    };
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
    recordIdentity(join(claims, own), process.pid);
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
    const other = readRecord(join(claims, name));
    if (other !== undefined && isRunning(other)) return readProcess(other.pid);
    rmSync(join(claims, name), { force: true });
  }
  return undefined;
}

function processRecords(folder: string) {
  const forgetProcess = (name: string) => rmSync(join(folder, `${name}.json`), { force: true });
  return {
    /**
     * Records a process under a name (`api`, `worker-1`), so that a later start can end processes that a kill left
     * running.
     */
    recordProcess: (name: string, pid: number) => recordIdentity(join(folder, `${name}.json`), pid),
    forgetProcess,
    /**
     * Returns the recorded processes that still run, of this owner and of earlier ones. Records of ended processes are
     * removed.
     */
    listProcesses: (): RecordedProcess[] =>
      identityFiles(folder).flatMap((file) => {
        const recorded = readRecord(join(folder, file));
        if (recorded !== undefined && isRunning(recorded)) return [{ ...recorded, name: basename(file, '.json') }];
        rmSync(join(folder, file), { force: true });
        return [];
      }),
    /** Ends a recorded process by the given steps, and removes its record. Returns false if it outlived all steps. */
    endRecorded: async (recorded: RecordedProcess, steps: readonly EndStep[]) => {
      const ended = await endProcess(recorded, steps);
      if (ended) forgetProcess(recorded.name);
      return ended;
    },
  };
}

function identityFiles(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.json'));
}

function recordIdentity(path: string, pid: number): void {
  const startedAt = readProcess(pid)?.startedAt;
  // If the process has already ended, no record is needed.
  if (startedAt !== undefined) writeWhole(path, JSON.stringify({ pid, startedAt }));
}
