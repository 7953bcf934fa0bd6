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

/**
 * Milliseconds for which the last process keeps serving while the others end. It fits into the grace period of an
 * orchestrator.
 */
const OTHERS_FIRST_MS = 5_000;

export class Primary {
  readonly #options: PrimaryOptions;
  readonly #fleet: Fleet;
  readonly #supervised: Supervised[] = [];
  #isEnding = false;
  #restarting: Promise<void> | null = null;

  constructor(options: PrimaryOptions) {
    cluster.schedulingPolicy = cluster.SCHED_RR;
    this.#options = options;
    this.#fleet = new Fleet(options);
  }

  /**
   * Starts the first process alone and then the others, so that a common fault is reported once. If one cannot start,
   * ends the others and rejects.
   */
  async start(): Promise<void> {
    const { processes, log } = this.#options;
    try {
      await this.#startOne(1);
      const others = Array.from({ length: processes - 1 }, (_, i) => this.#startOne(i + 2));
      await Promise.all(others).finally(() => Promise.allSettled(others));
    } catch (error) {
      // A start that a signal interrupted is no failure.
      if (this.#isEnding) return;
      await this.#stopAll();
      throw error;
    }
    log.info('api.processes_started', { processes });
  }

  /** Ends all processes in order, then this one. A second signal ends them at once. */
  onSignal(signal: string): void {
    const { log, exit } = this.#options;
    if (this.#isEnding) {
      killAll();
      exit(1);
      return;
    }
    log.info('api.stopping', { reason: signal });
    void this.#end(0);
  }

  /**
   * Restarts the processes one after the other. Each ends after its replacement listens. If a replacement does not
   * start, the remaining processes keep running.
   */
  restartAll(): Promise<void> {
    this.#restarting ??= this.#renewAll().finally(() => {
      this.#restarting = null;
    });
    return this.#restarting;
  }

  async #startOne(number: number): Promise<void> {
    const { log } = this.#options;
    const one = await supervise({
      name: `process ${number}`,
      start: (isAgain) => this.#fleet.start(number, isAgain),
      say: (how) => log.warn('api.process_ended', { process: number, how }),
      now: () => performance.now(),
      sleep,
    });
    this.#supervised.push(one);
    void one.givenUp.then((error) => {
      log.error('api.failed', { error });
      if (!this.#isEnding) void this.#end(1);
    });
  }

  async #renewAll(): Promise<void> {
    const { processes, log } = this.#options;
    for (const one of this.#supervised) {
      try {
        await one.renew();
      } catch (error) {
        if (!this.#isEnding) log.error('api.process_not_replaced', { process: one.name, error });
        return;
      }
      if (this.#isEnding) return;
    }
    log.info('api.processes_restarted', { processes });
  }

  async #end(code: number): Promise<void> {
    await this.#stopAll();
    this.#options.exit(this.#fleet.hasFailed ? 1 : code);
  }

  async #stopAll(): Promise<void> {
    this.#isEnding = true;
    const [last, ...others] = this.#supervised;
    // The last process takes the connections that the others refuse.
    const stopped = Promise.all(others.map((one) => one.stop()));
    await Promise.race([stopped, sleep(OTHERS_FIRST_MS, undefined, { ref: false })]);
    await Promise.all([stopped, last?.stop()]);
    killAll();
  }
}

function killAll(): void {
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
}

class Fleet {
  /** Whether a process that was asked to leave ended with an exit code other than 0. */
  hasFailed = false;
  readonly #options: PrimaryOptions;
  /** Listening processes by number. Metrics count a draining process and its replacement as one. */
  readonly #listening = new Map<number, { readonly worker: Worker; readonly questions: Questions }>();

  constructor(options: PrimaryOptions) {
    this.#options = options;
  }

  /**
   * Starts a process and resolves when it listens. If it ends before, a first start rejects and a restart (`isAgain`)
   * resolves.
   */
  async start(number: number, isAgain: boolean): Promise<Started> {
    const { environment, log } = this.#options;
    const worker = cluster.fork({ ...environment, API_PROCESS: String(number) });
    closeUndelivered(worker);
    const { promise: started, resolve: tellStarted } = Promise.withResolvers<null>();
    let isLeaving = false;
    const exited = new Promise<string>((resolve) => {
      worker.once('exit', (code, signal) => {
        if (this.#listening.get(number)?.worker === worker) this.#listening.delete(number);
        if (isLeaving && code !== 0) this.hasFailed = true;
        resolve(signal ? `ended by ${signal}` : `exit code ${code}`);
      });
      // Also emitted if a message cannot be sent to a process that was just killed; `exit` then follows.
      worker.on('error', (error) => {
        log.warn('api.process_error', { process: number, error });
        if (worker.process.pid === undefined) resolve(error.message);
      });
    });
    this.#listen(worker, number, () => tellStarted(null));
    const ended = await Promise.race([started, exited]);
    if (!isAgain && ended !== null) throw new ProcessNotStarted(number, ended);
    return {
      pid: worker.process.pid ?? -1,
      exited,
      stop: (isReplaced = false) => {
        isLeaving = true;
        return this.#leave(worker, exited, isReplaced ? 'restart' : 'end');
      },
      kill: () => void worker.process.kill('SIGKILL'),
      lastOutput: () => 'its log says why',
    };
  }

  /** Handles the reports of a process. */
  #listen(worker: Worker, number: number, onStarted: () => void): void {
    const questions = createQuestions((id, question) => tell(worker, { kind: 'question', id, question }));
    worker.on('message', async (report: Report) => {
      if (report.kind === 'started') {
        this.#listening.set(number, { worker, questions });
        onStarted();
      } else if (report.kind === 'answer') questions.receive(report.id, report.answer);
      else if (report.kind === 'flush') tell(worker, { kind: 'answers', id: report.id, answers: [] });
      else if (report.kind === 'gather') {
        const others = [...this.#listening].filter(([other]) => other !== number);
        const answers = await Promise.all(others.map(([, other]) => other.questions.ask(report.question)));
        tell(worker, { kind: 'answers', id: report.id, answers });
      }
    });
  }

  #leave(worker: Worker, exited: Promise<string>, cause: 'end' | 'restart'): Promise<void> {
    const timer = setTimeout(() => worker.process.kill('SIGKILL'), this.#options.killAfterMs);
    tell(worker, { kind: 'leave', cause, reason: cause });
    return exited.then(() => clearTimeout(timer));
  }
}

function tell(worker: Worker, order: Order): void {
  if (worker.isConnected()) worker.send(order, () => {});
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
  // Sent connections by message number, until the process accepts or refuses them.
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
