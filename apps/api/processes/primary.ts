/**
 * The primary of several API processes on one port. It accepts connections and hands them out in turn (Node's `cluster`,
 * round robin), starts a process again that ended, and ends all in order. It answers no request itself.
 *
 * Why not SO_REUSEPORT: a process that leaves resets the connections that wait in its own queue, few connections are spread
 * badly, and a second service on the port would go unnoticed. Here a process gets its next connection when it has taken the
 * last one, so that one that hangs gets one; a connection that a draining process refuses goes to another.
 */
import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@tandem/telemetry/log';
import { type Started, type Supervised, supervise } from '@tandem/timing/supervise';
import { within } from '@tandem/timing/within';
import type { Order, Report } from './messages.ts';

interface PrimaryOptions {
  readonly processes: number;
  /** Variables of each process beside those of the primary; `API_PROCESS` is added. */
  readonly environment: Readonly<Record<string, string>>;
  readonly log: Log;
  /** Milliseconds after which a process that was told to leave is killed. */
  readonly killAfterMs: number;
  exit(code: number): void;
}

export interface Primary {
  /**
   * Starts the processes: the first alone, so that a fault that all would meet is told once. Rejects where one cannot start;
   * the others are ended then.
   */
  start(): Promise<void>;
  /** Ends all processes in order, then this one. A second signal ends them at once. */
  onSignal(signal: string): void;
  /** Restarts the processes one after the other: the port is served all the while. */
  restartAll(): Promise<void>;
}

/** How long the last process serves on for the others to end, of the time that an orchestrator gives. */
const OTHERS_FIRST_MS = 5_000;
/** How long a process may take to answer another one's question. */
const ANSWER_WITHIN_MS = 1_500;

export function createPrimary(options: PrimaryOptions): Primary {
  const { processes, log, exit } = options;
  cluster.schedulingPolicy = cluster.SCHED_RR;
  const supervised: Supervised[] = [];
  const fleet = createFleet(options);
  let isEnding = false;
  let restarting: Promise<void> | null = null;

  async function stopAll(): Promise<void> {
    isEnding = true;
    const [last, ...others] = supervised;
    // The last one takes the connections that the others refuse.
    const stopped = Promise.all(others.map((one) => one.stop()));
    await Promise.race([stopped, sleep(OTHERS_FIRST_MS, undefined, { ref: false })]);
    await Promise.all([stopped, last?.stop()]);
    killAll();
  }

  async function end(code: number): Promise<void> {
    await stopAll();
    exit(fleet.hasFailed() ? 1 : code);
  }

  async function startOne(number: number): Promise<void> {
    let isFirst = true;
    const one = await supervise({
      name: `process ${number}`,
      start() {
        const must = isFirst;
        isFirst = false;
        return fleet.start(number, must);
      },
      say: (how) => log.warn('api.process_ended', { process: number, how }),
      now: () => performance.now(),
      sleep,
    });
    supervised.push(one);
    void one.givenUp.then((error) => {
      log.error('api.failed', { error });
      if (!isEnding) void end(1);
    });
  }

  async function renewAll(): Promise<void> {
    for (const one of supervised) if (!isEnding) await one.renew();
    log.info('api.processes_restarted', { processes });
  }

  return {
    async start() {
      try {
        await startOne(1);
        const others = Array.from({ length: processes - 1 }, (_, i) => startOne(i + 2));
        await Promise.all(others).finally(() => Promise.allSettled(others));
      } catch (error) {
        // A start that a signal cut off is no failure.
        if (isEnding) return;
        await stopAll();
        throw error;
      }
      log.info('api.processes_started', { processes });
    },
    onSignal(signal) {
      if (isEnding) {
        killAll();
        return exit(1);
      }
      log.info('api.stopping', { reason: signal });
      void end(0);
    },
    restartAll() {
      restarting ??= renewAll().finally(() => {
        restarting = null;
      });
      return restarting;
    },
  };
}

function killAll(): void {
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
}

interface Fleet {
  /** Resolves when the process listens, or has ended. @param must reject where it ends before it listens */
  start(number: number, must: boolean): Promise<Started>;
  /** Whether a process that was told to leave ended with another code than 0. */
  hasFailed(): boolean;
}

function createFleet({ environment, killAfterMs }: PrimaryOptions): Fleet {
  /** Those that listen. */
  const listening = new Set<Worker>();
  const waiting = new Map<number, (answer: unknown) => void>();
  let asked = 0;
  let hasFailed = false;

  function tell(worker: Worker, order: Order): void {
    if (worker.isConnected()) worker.send(order, () => {});
  }

  async function ask(worker: Worker, question: Extract<Order, { kind: 'question' }>['question']): Promise<unknown> {
    const id = ++asked;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    waiting.set(id, resolve);
    tell(worker, { kind: 'question', id, question });
    const answer = await within(ANSWER_WITHIN_MS, promise, () => new Error('no answer')).catch(() => null);
    waiting.delete(id);
    return answer;
  }

  async function hear(worker: Worker, report: Report): Promise<void> {
    if (report.kind === 'flush') tell(worker, { kind: 'answers', id: report.id, answers: [] });
    if (report.kind === 'answer') waiting.get(report.id)?.(report.answer);
    if (report.kind !== 'gather') return;
    const others = [...listening].filter((other) => other !== worker);
    const answers = await Promise.all(others.map((other) => ask(other, report.question)));
    tell(worker, { kind: 'answers', id: report.id, answers });
  }

  function leave(worker: Worker, exited: Promise<string>, cause: 'end' | 'restart'): Promise<void> {
    // One of all that end says that the port is not ready, until it is gone.
    if (cause === 'restart') listening.delete(worker);
    const timer = setTimeout(() => worker.process.kill('SIGKILL'), killAfterMs);
    tell(worker, { kind: 'leave', cause, reason: cause });
    return exited.then(() => clearTimeout(timer));
  }

  return {
    hasFailed: () => hasFailed,
    async start(number, must) {
      const worker = cluster.fork({ ...environment, API_PROCESS: String(number) });
      closeUndelivered(worker);
      const { promise: started, resolve: tellStarted } = Promise.withResolvers<null>();
      let isLeaving = false;
      const exited = new Promise<string>((resolve) => {
        worker.once('exit', (code, signal) => {
          listening.delete(worker);
          if (isLeaving && code !== 0) hasFailed = true;
          resolve(signal ? `ended by ${signal}` : `exit code ${code}`);
        });
      });
      worker.on('message', (report: Report) => {
        if (report.kind === 'started') {
          listening.add(worker);
          tellStarted(null);
        } else void hear(worker, report);
      });
      const ended = await Promise.race([started, exited]);
      if (must && ended !== null) throw new ProcessNotStarted(number, ended);
      return {
        pid: worker.process.pid ?? -1,
        exited,
        stop: (isReplaced = false) => {
          isLeaving = true;
          return leave(worker, exited, isReplaced ? 'restart' : 'end');
        },
        kill: () => void worker.process.kill('SIGKILL'),
        lastOutput: () => 'its log says why',
      };
    },
  };
}

/** A process that ended before it listened has said why on standard error. */
export class ProcessNotStarted extends Error {
  constructor(number: number, how: string) {
    super(`API process ${number} did not start (${how})`);
  }
}

/**
 * Closes the connection that was on its way to a process that is killed. Node waits for the process to acknowledge it, and
 * would keep it open without an end: its client would wait for an answer as long as it has patience. A connection that the
 * process had taken is closed here already, and to close it again does nothing.
 */
function closeUndelivered({ process }: Worker): void {
  /** By the port's key: the last connection that was sent. */
  const sent = new Map<unknown, { close(): void }>();
  const send = process.send.bind(process) as (...args: unknown[]) => boolean;
  process.send = (...args: unknown[]): boolean => {
    const [message, handle] = args as [{ act?: string; key?: string } | undefined, { close(): void } | undefined];
    if (message?.act === 'newconn' && handle) sent.set(message.key, handle);
    return send(...args);
  };
  process.once('exit', () => {
    for (const handle of sent.values()) handle.close();
  });
}
