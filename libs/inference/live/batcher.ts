/**
 * Dynamic batching outside the children. Requests are split into parts of bounded size, and waiting parts form one run.
 * Each request gets the answers of its rows. Live parts go first. A batch runs in slices, so a live request waits for
 * at most one slice. If a run of several requests fails, each is retried alone before any of them fails.
 *
 * The statement line of libs/freshness is not used, since versions wait for the same slots, and a row may leave before
 * it is sent.
 */
import { callerGone, isTandemError, TandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import {
  type LoadShedding,
  type ScoreRequest,
  type ScoreResult,
  type Scorer,
  ScoringCrash,
} from '@tandem/prediction/scoring/scoring';
import type { WireTensor } from '../process/protocol.ts';
import { cpuLimit, type TimeLimit, wallLimit } from '../process/time-limit.ts';
import { type EncodedInput, encodeInputs, joinInputs, readOutputs } from '../tensors/batch-tensors.ts';
import { type ArtifactBreaker, FREE, mayBeForeign, type Permit, tellBreaker } from './artifact-breaker.ts';
import { type InferRequest, wantedBy } from './infer-request.ts';
import { LiveRoom, type RunUnderWay } from './live-room.ts';
import {
  cut,
  deliver,
  expire,
  isWaitingFor,
  late,
  type Outcome,
  Pending,
  paceOf,
  refusalOf,
  rowsOf,
  type Work,
} from './pending-requests.ts';
import { type LoneRow, PoisonRows } from './poison-rows.ts';
import type { SliceRows } from './slice-rows.ts';
import type { PreparedRun, Slot, SlotAnswer } from './slot.ts';
import { type Part, WaitingLine } from './waiting-line.ts';

/** The part of a slot that runs models. */
export type RunSlot = Pick<Slot, 'run'>;

interface BatcherOptions {
  /** Returns a slot that can run the artifact now; null while all are busy. Call `pumpSoon` when a slot may be free. */
  freeSlot(hash: string): RunSlot | null;
  /** The number of slots. */
  readonly slots: number;
  /** The most rows of a live run. */
  readonly maxLiveRows: number;
  /** Chooses the rows of a batch run. */
  readonly slices: SliceRows;
  /** The most rows that may wait. The rows of a request that do not fit are rejected as `overloaded`. */
  readonly maxWaitingRows: Readonly<Record<ScoreRequest['priority'], number>>;
  /** How long after the last deadline of a run its child is killed. */
  readonly killGraceMs: number;
  /** The breaker of live requests. */
  readonly breaker: ArtifactBreaker;
  readonly now: () => number;
}

export class Batcher implements Scorer, LoadShedding {
  readonly #options: BatcherOptions;
  readonly #lines = { live: new WaitingLine<Pending>(), batch: new WaitingLine<Pending>() };
  readonly #liveRoom: LiveRoom;
  readonly #poison: PoisonRows;
  // An array, for the reason in WaitingLine. When a request leaves, the last one takes its index.
  readonly #pending: Pending[] = [];
  readonly #waitingForDrain: (() => void)[] = [];
  #isPumping = false;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#poison = new PoisonRows({ ...options, runAlone: (row) => this.#runAlone(row) });
    this.#liveRoom = roomOf(options, this.#lines.live, this.#poison);
  }

  async score({ batch, onGone, ...request }: ScoreRequest): Promise<ScoreResult> {
    const { rows, version } = request;
    if (rows.length === 0) return { tensors: {} };
    const encode = () => encodeInputs(version.inputs, batch, rows);
    // After all rows are running, the answer has no further cost and serves the next reader.
    const mayLeave = ({ parts }: Pending) => parts.some(({ waiting }) => waiting);
    const tensors = await this.#submit({ ...request, outputs: wantedBy(version) }, encode, onGone, mayLeave);
    return { tensors: readOutputs(tensors, rows.length) };
  }

  /** Runs tensors that a caller filled, together with those of `score`. Rejects as `score` does. */
  infer(request: InferRequest): Promise<readonly WireTensor[]> {
    const { firstRow = 0 } = request;
    const rows = Array.from({ length: request.rows }, (_, row) => firstRow + row);
    return this.#submit({ ...request, rows, priority: 'live' }, () => request.inputs, request.onGone);
  }

  #submit(
    request: Omit<Work, 'inputs'>,
    encode: () => readonly EncodedInput[],
    onGone?: ScoreRequest['onGone'],
    mayLeave: (one: Pending) => boolean = () => true,
  ): Promise<readonly WireTensor[]> {
    const { priority, version } = request;
    const { slices, maxWaitingRows, breaker } = this.#options;
    const line = this.#lines[priority];
    const refused = refusalOf(request, line.rows(), maxWaitingRows[priority], this.#liveRoom);
    if (refused) return Promise.reject(refused);
    const { promise, resolve, reject } = Promise.withResolvers<readonly WireTensor[]>();
    try {
      const work = { ...request, inputs: encode() };
      const poison = priority === 'live' ? this.#poison.refusal(work) : undefined;
      if (poison) throw poison;
      const permit = priority === 'live' ? breaker.permit(version) : FREE;
      if (permit instanceof TandemError) throw permit;
      const one = this.#enqueue(work, permit, (outcome) => {
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      });
      const pace = paceOf(work);
      const most = priority === 'live' ? this.runRows(version, pace) : slices.of(version);
      for (const part of cut(one, work, most)) {
        part.costMs = priority === 'live' ? this.#liveRoom.costMs(version, part.rows, pace) : 0;
        one.parts.push(part);
        line.add(part);
      }
      // Registered after the parts wait, so that they are removed if the caller has already gone.
      onGone?.(() => one.settled || !mayLeave(one) || one.settle(callerGone()));
    } catch (error) {
      reject(error);
    }
    this.pumpSoon();
    return promise;
  }

  /** Runs a row as a batch, which has no reader, and whose limit is CPU time. */
  #runAlone({ limitMs, ...row }: LoneRow): Promise<unknown> {
    const time = { timeoutMs: limitMs + ALONE_WAIT_MS, runTimeoutMs: limitMs };
    return this.#submit({ ...row, ...time, rows: ONE_ROW, priority: 'batch', isAlone: true }, () => row.inputs);
  }

  room(version: ModelVersion, timeoutMs: number): number {
    return this.#liveRoom.room(version, timeoutMs);
  }

  runRows: LiveRoom['runRows'] = (...asked) => this.#liveRoom.runRows(...asked);
  warmedUp: LiveRoom['warmedUp'] = (...runs) => this.#liveRoom.warmedUp(...runs);

  /** Starts runs at the end of this turn of the event loop. Call it when a slot may be free. */
  pumpSoon(): void {
    // Requests of the same turn share a run, even the first. A live reader that sends its next request right after an
    // answer comes before the next slice of a batch. (Measured with eight such readers and batches of 5,000 rows: 0.16
    // ms instead of 2.5 ms.)
    if (this.#isPumping) return;
    this.#isPumping = true;
    setImmediate(() => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  waitingRows(): Readonly<Record<ScoreRequest['priority'], number>> {
    return { live: this.#lines.live.rows(), batch: this.#lines.batch.rows() };
  }

  /** Resolves when the last pending request has its answer. */
  drained(): Promise<void> {
    return this.#pending.length === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#waitingForDrain.push(resolve));
  }

  /** Fails the given pending requests. */
  abandon(error: TandemError, isMeant: (request: Pending) => boolean = () => true): void {
    for (const request of [...this.#pending]) if (isMeant(request)) request.settle(error);
  }

  #enqueue(asked: Work, { isProbe }: Permit, done: (outcome: Outcome) => void): Pending {
    const request = new Pending(asked, this.#options.now(), (outcome) => {
      for (const part of request.parts) this.#lines[asked.priority].remove(part);
      this.#leave(request);
      // If the request is running, the end of the run decides the probe, even if its reader has disconnected.
      if (isProbe && request.running === 0) this.#options.breaker.undecided(asked.version);
      done(outcome);
      if (this.#pending.length === 0) for (const tell of this.#waitingForDrain.splice(0)) tell();
    });
    request.index = this.#pending.push(request) - 1;
    return request;
  }

  #leave({ index: at }: Pending): void {
    const last = this.#pending.pop();
    if (!last || at === this.#pending.length) return;
    this.#pending[at] = last;
    last.index = at;
  }

  #pump(): void {
    const { freeSlot, slices, now } = this.#options;
    for (const priority of ['live', 'batch'] as const) {
      const line = this.#lines[priority];
      for (let first = line.first(); first; first = line.first()) {
        const slot = freeSlot(first.version.artifactHash);
        if (!slot) return;
        if (priority === 'live' && isTooLate(this.#liveRoom, first, now())) {
          first.request.settle(late(null));
          continue;
        }
        const most = priority === 'live' ? this.#rowsWith(first, now()) : slices.of(first.version);
        void this.#perform(slot, line.take(most));
      }
    }
  }

  /** Returns the most rows of the live run that begins with this part. */
  #rowsWith({ request, version }: Part<Pending>, now: number): number {
    return this.runRows(version, paceOf(request), request.deadline - now);
  }

  async #perform(slot: RunSlot, taken: readonly Part<Pending>[]): Promise<void> {
    const { breaker, killGraceMs, now } = this.#options;
    let running: readonly Part<Pending>[] = taken;
    let startedAt = now();
    let run: RunUnderWay | undefined;
    for (const part of taken) part.request.running++;
    try {
      const hash = taken[0]?.version.artifactHash ?? '';
      const answer = await slot.run(hash, () => {
        // Loading the model may have exceeded the deadlines of some readers.
        running = taken.filter((part) => !part.request.settled && !expire(part, now()));
        startedAt = now();
        if (running.length === 0) return null;
        run = beginRun(this.#liveRoom, running);
        return prepareRun(running, killGraceMs, now());
      });
      run?.end(true);
      tellBreaker(breaker, taken[0], answer === null ? 'not run' : 'lived', 0);
      if (answer) this.#answer(running, answer);
    } catch (error) {
      const rest = tellBreaker(breaker, taken[0], error, now() - startedAt);
      const isMeant = (request: Pending) =>
        running.some((part) => part.request === request) || isWaitingFor(request, taken[0]);
      if (rest) this.abandon(rest, isMeant);
      this.#fail(running, error);
      if (taken[0]?.request.priority === 'live') this.#poison.failed(running, error);
    } finally {
      run?.end(false);
      for (const part of taken) part.request.running--;
    }
  }

  #answer(parts: readonly Part<Pending>[], { outputs, cpuMs }: SlotAnswer): void {
    const [first] = parts;
    if (first?.request.priority === 'batch') this.#options.slices.note(first.version, rowsOf(parts), cpuMs);
    deliver(parts, outputs);
  }

  #fail(parts: readonly Part<Pending>[], error: unknown): void {
    const ofTheRows = error instanceof ScoringCrash || isTandemError(error, 'live_failed');
    for (const part of parts) {
      if (part.request.settled) continue;
      part.failedRuns++;
      const { request } = part;
      const again = ofTheRows && (parts.length > 1 || (mayBeForeign(error) && part.failedRuns < 2));
      if (again) request.restart(this.#options.now());
      if (again && request.deadline > this.#options.now()) this.#lines[request.priority].retryAlone(part);
      else request.settle(error instanceof Error ? error : new Error(String(error)));
    }
    this.pumpSoon();
  }
}

const ONE_ROW = Object.freeze([0]);
/** How long a row that must run alone waits for a child. */
const ALONE_WAIT_MS = 5_000;

function roomOf(options: BatcherOptions, line: WaitingLine<Pending>, poison: PoisonRows): LiveRoom {
  const { slots, maxLiveRows, maxWaitingRows, now } = options;
  const maxRunRows = (version: ModelVersion) => Math.min(maxLiveRows, poison.mostRows(version));
  const waiting = () => ({ rows: line.rows(), ms: line.costMs() });
  return new LiveRoom({ slots, maxRunRows, maxWaitingRows: maxWaitingRows.live, waiting, now });
}

/** Returns whether a part would be too late. Running it would cost as much as an answer that is in time. */
function isTooLate(room: LiveRoom, { request, version, rows }: Part<Pending>, now: number): boolean {
  return room.isTooLate(version, rows, request.timeoutMs, request.deadline - now);
}

function beginRun(room: LiveRoom, parts: readonly Part<Pending>[]): RunUnderWay | undefined {
  const [first] = parts;
  return first && room.begin(first.version, rowsOf(parts), first.request.priority === 'live');
}

/**
 * Prepares a run of these parts.
 * @param now ms on the clock of their deadlines
 */
function prepareRun(parts: readonly Part<Pending>[], killGraceMs: number, now: number): PreparedRun {
  const priority = parts[0]?.request.priority ?? 'batch';
  const graceMs = priority === 'live' ? killGraceMs : 0;
  // Each request has its own limit, so that a long timeout does not prolong the run of another request.
  const limits = parts.map(({ request: r }) =>
    Math.min(r.runTimeoutMs + graceMs, Math.max(0, r.deadline - now) + killGraceMs),
  );
  const inputs = parts.map((part) => part.inputs);
  return {
    feeds: joinInputs(inputs, rowsOf(parts)),
    fetches: parts[0]?.outputs ?? [],
    rowByRow: parts[0]?.version.rowByRow ?? false,
    priority,
    limit: limitOf(parts[0], Math.max(...limits), killGraceMs),
  };
}

/** Returns the limit of a run: wall time for live readers; CPU time for a batch, where it identifies poison rows. */
function limitOf(part: Part<Pending> | undefined, ms: number, killGraceMs: number): TimeLimit {
  if (part?.request.priority === 'live') return wallLimit(ms);
  // Suspect rows wait while a row of live reads runs alone.
  return part?.isAlone ? cpuLimit(ms, ms + killGraceMs) : cpuLimit(ms);
}
