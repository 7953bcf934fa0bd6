/**
 * The primary of several API processes on one port. It accepts connections and distributes them in turn (Node's
 * `cluster`, round robin), restarts a process that ended, and ends all in order. It answers no requests.
 *
 * SO_REUSEPORT is not used for three reasons: a process that ends resets the connections in its accept queue, few
 * connections are distributed unevenly, and a second service on the port would go unnoticed. Here a process gets its
 * next connection after it has taken the previous one, so a process that hangs gets no further connection. A connection
 * that a draining process refuses goes to another process.
 */
import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@tandem/telemetry/log';
import { type Started, type Supervised, supervise } from '@tandem/timing/supervise';
import type { Order, Report } from './messages.ts';
import { createQuestions, type Questions } from './questions.ts';

interface PrimaryOptions {
  readonly processes: number;
  /** Environment variables of each process in addition to those of the primary. `API_PROCESS` is added. */
  readonly environment: Readonly<Record<string, string>>;
  readonly log: Log;
  /** Milliseconds after which a process that was asked to leave is killed. */
  readonly killAfterMs: number;
  exit(code: number): void;
}

export interface Primary {
  /**
   * Starts the first process alone and then the others, so that a common fault is reported once. If one cannot start,
   * ends the others and rejects.
   */
  start(): Promise<void>;
  /** Ends all processes in order, then this one. A second signal ends them at once. */
  onSignal(signal: string): void;
  /**
   * Restarts the processes one after the other. Each ends after its replacement listens. If a replacement does not
   * start, the remaining processes keep running.
   */
  restartAll(): Promise<void>;
}

/**
 * Milliseconds for which the last process keeps serving while the others end. It fits into the grace period of an
 * orchestrator.
 */
const OTHERS_FIRST_MS = 5_000;

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
    // The last process takes the connections that the others refuse.
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
    const one = await supervise({
      name: `process ${number}`,
      start: (isAgain) => fleet.start(number, isAgain),
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
    for (const one of supervised) {
      try {
        await one.renew();
      } catch (error) {
        if (!isEnding) log.error('api.process_not_replaced', { process: one.name, error });
        return;
      }
      if (isEnding) return;
    }
    log.info('api.processes_restarted', { processes });
  }

  return {
    async start() {
      try {
        await startOne(1);
        const others = Array.from({ length: processes - 1 }, (_, i) => startOne(i + 2));
        await Promise.all(others).finally(() => Promise.allSettled(others));
      } catch (error) {
        // A start that a signal interrupted is no failure.
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
  /**
   * Starts a process and resolves when it listens. If it ends before, a first start rejects and a restart (`isAgain`)
   * resolves.
   */
  start(number: number, isAgain: boolean): Promise<Started>;
  /** Returns whether a process that was asked to leave ended with an exit code other than 0. */
  hasFailed(): boolean;
}

function createFleet({ environment, killAfterMs, log }: PrimaryOptions): Fleet {
  /** Listening processes by number. Metrics count a draining process and its replacement as one. */
  const listening = new Map<number, { readonly worker: Worker; readonly questions: Questions }>();
  let hasFailed = false;

  function tell(worker: Worker, order: Order): void {
    if (worker.isConnected()) worker.send(order, () => {});
  }

  async function hear(worker: Worker, number: number, report: Report): Promise<void> {
    if (report.kind === 'flush') tell(worker, { kind: 'answers', id: report.id, answers: [] });
    if (report.kind !== 'gather') return;
    const others = [...listening].filter(([other]) => other !== number);
    const answers = await Promise.all(others.map(([, { questions }]) => questions.ask(report.question)));
    tell(worker, { kind: 'answers', id: report.id, answers });
  }

  function leave(worker: Worker, exited: Promise<string>, cause: 'end' | 'restart'): Promise<void> {
    const timer = setTimeout(() => worker.process.kill('SIGKILL'), killAfterMs);
    tell(worker, { kind: 'leave', cause, reason: cause });
    return exited.then(() => clearTimeout(timer));
  }

  return {
    hasFailed: () => hasFailed,
    async start(number, isAgain) {
      const worker = cluster.fork({ ...environment, API_PROCESS: String(number) });
      closeUndelivered(worker);
      const questions = createQuestions((id, question) => tell(worker, { kind: 'question', id, question }));
      const { promise: started, resolve: tellStarted } = Promise.withResolvers<null>();
      let isLeaving = false;
      const exited = new Promise<string>((resolve) => {
        worker.once('exit', (code, signal) => {
          if (listening.get(number)?.worker === worker) listening.delete(number);
          if (isLeaving && code !== 0) hasFailed = true;
          resolve(signal ? `ended by ${signal}` : `exit code ${code}`);
        });
        // Also emitted if a message cannot be sent to a process that was just killed; `exit` then follows.
        worker.on('error', (error) => {
          log.warn('api.process_error', { process: number, error });
          if (worker.process.pid === undefined) resolve(error.message);
        });
      });
      worker.on('message', (report: Report) => {
        if (report.kind === 'started') {
          listening.set(number, { worker, questions });
          tellStarted(null);
        } else if (report.kind === 'answer') questions.receive(report.id, report.answer);
        else void hear(worker, number, report);
      });
      const ended = await Promise.race([started, exited]);
      if (!isAgain && ended !== null) throw new ProcessNotStarted(number, ended);
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

/** The error of a process that ended before it listened. Its standard error says why. */
export class ProcessNotStarted extends Error {
  constructor(number: number, how: string) {
    super(`API process ${number} did not start (${how}); its log above says why`);
  }
}

/**
 * Closes the connection that was being passed to a process when it was killed. Node waits for the process to
 * acknowledge the connection and would keep it open, so its client would wait until a timeout. If the process had
 * already taken it, closing it again has no effect.
 */
function closeUndelivered({ process }: Worker): void {
  /** Sent connections by message number, until the process accepts or refuses them. */
  const sent = new Map<unknown, { close(): void }>();
  const send = process.send.bind(process) as (...args: unknown[]) => boolean;
  process.send = (...args: unknown[]): boolean => {
    const [message, handle] = args as [{ act?: string; seq?: number } | undefined, { close(): void } | undefined];
    if (message?.act === 'newconn' && handle) sent.set(message.seq, handle);
    return send(...args);
  };
  process.on('internalMessage', ({ ack }: { readonly ack?: number }) => void sent.delete(ack));
  process.once('exit', () => {
    for (const handle of sent.values()) handle.close();
  });
}
