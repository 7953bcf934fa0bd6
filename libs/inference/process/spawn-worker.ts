/**
 * Spawns the program of an inference child: in a folder and a process group of its own, with almost no environment, and
 * with limits on its heap and its data.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProcessOptions } from './inference-process.ts';

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));
/** Private memory that Node 24 maps in the child, mostly for the code ranges of two isolates. Measured: 1,134 MB. */
const NODE_DATA_MB = 1280;
/**
 * The size from which allocations are returned to the system when they are freed. By default glibc raises it to 32 MB.
 */
const RETURNED_BYTES = 2_000_000;

/** Spawns a child, with an IPC channel and its stderr. */
export function spawnWorker({ memoryLimitMb, boundData, threads = 1 }: ProcessOptions): ChildProcess {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-inference-'));
  const heapMb = Math.max(64, memoryLimitMb >> 2);
  const flags = ['--expose-gc', `--max-old-space-size=${heapMb}`];
  const program = [process.execPath, ...flags, WORKER, `${process.pid}`, `${memoryLimitMb}`, `${threads}`];
  const [file = '', ...args] = boundData ? bounded(program, memoryLimitMb) : program;
  const child = spawn(file, args, {
    cwd: folder,
    env: childEnvironment(process.env),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
    // A separate process group, so that a terminal's Ctrl-C reaches only the parent, which then drains.
    detached: true,
  });
  // The child removes its folder itself, unless it died before.
  child.on('close', () => {
    try {
      rmdirSync(folder);
    } catch {
      // Gone already.
    }
  });
  return child;
}

/**
 * Returns the environment of a child. It inherits only two variables, since others may contain secrets: the library
 * path, which some programs need to start, and Node's compile cache, which halves the CPU time of a start (0.3 s). The
 * path of the cache is made absolute, because the child has another working directory. The third variable is for glibc;
 * other libraries ignore it.
 */
function childEnvironment({ LD_LIBRARY_PATH, NODE_COMPILE_CACHE }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...(LD_LIBRARY_PATH && { LD_LIBRARY_PATH }),
    ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE: resolve(NODE_COMPILE_CACHE) }),
    MALLOC_MMAP_THRESHOLD_: `${RETURNED_BYTES}`,
  };
}

/**
 * Returns the command of a program under `ulimit -d`. An allocation above the limit fails inside ONNX Runtime as an
 * ordinary error, so that most memory bombs are rejected and do not end the process. Only Linux counts mapped memory as
 * data.
 */
function bounded(program: readonly string[], memoryLimitMb: number): readonly string[] {
  if (process.platform !== 'linux') return program;
  const kilobytes = (memoryLimitMb + NODE_DATA_MB) * 1024;
  return ['/bin/sh', '-c', 'ulimit -d "$0" && exec "$@"', `${kilobytes}`, ...program];
}
