/** Metrics of the batch path: runs, chunks, jobs and waiting work. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { JOB_BUCKETS } from './series.ts';

export function runMetrics(registry: Registry) {
  const registers = [registry];
  return {
    ...chunkMetrics(registers),
    ...stepMetrics(registers),
    ...reportMetrics(registers),
    ...leaseMetrics(registers),
    ...jobMetrics(registers),
    ...outboxMetrics(registers),
    ...progressMetrics(registers),
    ...rolloutMetrics(registers),
    ...expiryMetrics(registers),
  };
}

function chunkMetrics(registers: Registry[]) {
  return {
    runs: new Counter({
      name: 'tandem_runs_total',
      help: 'Batch runs that reached a state.',
      labelNames: ['predictor', 'scope', 'state'] as const,
      registers,
    }),
    runDuration: new Histogram({
      name: 'tandem_run_seconds',
      help: 'Time of a batch run from its start to its end.',
      labelNames: ['predictor', 'scope'] as const,
      buckets: JOB_BUCKETS,
      registers,
    }),
    chunks: new Counter({
      name: 'tandem_chunks_total',
      help: 'Chunks of batch runs by outcome.',
      labelNames: ['predictor', 'state'] as const,
      registers,
    }),
    chunkDuration: new Histogram({
      name: 'tandem_chunk_seconds',
      help: 'Time to read, score and commit a chunk.',
      labelNames: ['predictor'] as const,
      buckets: JOB_BUCKETS,
      registers,
    }),
    usersScored: new Counter({
      name: 'tandem_users_scored_total',
      help: 'Users of committed chunks: scored, or failed and named in the report of the run.',
      labelNames: ['predictor', 'outcome'] as const,
      registers,
    }),
  };
}

/** Registers the metrics of the steps of a run: planning and publication. */
function stepMetrics(registers: Registry[]) {
  return {
    runSteps: new Counter({
      name: 'tandem_run_steps_total',
      help: 'Attempts at planning or publishing a run, by outcome: done, abandoned, given_back, stopped or failed.',
      labelNames: ['predictor', 'step', 'outcome'] as const,
      registers,
    }),
    runStepTakeovers: new Counter({
      name: 'tandem_run_step_takeovers_total',
      help: "Plans and publications taken over after a worker's lease expired.",
      labelNames: ['predictor', 'step'] as const,
      registers,
    }),
  };
}

/** Registers the metrics of comparisons of new generations with the current ones. */
function reportMetrics(registers: Registry[]) {
  return {
    generationReports: new Counter({
      name: 'tandem_generation_reports_total',
      help: 'Comparisons of a new generation with the current generation, by verdict.',
      labelNames: ['predictor', 'verdict'] as const,
      registers,
    }),
    generationPsi: new Gauge({
      name: 'tandem_generation_psi',
      help: 'Population stability index of an output, of the last comparison, against the previous or first generation.',
      labelNames: ['predictor', 'output', 'against'] as const,
      registers,
    }),
    generationFlips: new Gauge({
      name: 'tandem_generation_flips_ratio',
      help: 'Share of users whose decision flipped, of the last comparison of generations: up or down.',
      labelNames: ['predictor', 'direction'] as const,
      registers,
    }),
  };
}

/** Registers the metrics of chunks that more than one worker has claimed. */
function leaseMetrics(registers: Registry[]) {
  return {
    chunksAbandoned: new Counter({
      name: 'tandem_chunks_abandoned_total',
      help: 'Chunks with results that were not written, by reason: the fence was lost, the history changed, or the run ended.',
      labelNames: ['predictor', 'why'] as const,
      registers,
    }),
    chunkTakeovers: new Counter({
      name: 'tandem_chunk_takeovers_total',
      help: "Chunks taken over after a worker's lease expired.",
      labelNames: ['predictor'] as const,
      registers,
    }),
    usersHandedBack: new Counter({
      name: 'tandem_users_handed_back_total',
      help: 'Users that a slow or stopping worker returned unscored, as new chunks.',
      labelNames: ['predictor'] as const,
      registers,
    }),
  };
}

function jobMetrics(registers: Registry[]) {
  return {
    jobDuration: new Histogram({
      name: 'tandem_job_seconds',
      help: 'Time of a job from the queue, by outcome: completed, retrying or failed.',
      labelNames: ['job', 'state'] as const,
      buckets: JOB_BUCKETS,
      registers,
    }),
    jobWait: new Histogram({
      name: 'tandem_job_wait_seconds',
      help: 'Time that a job waited in the queue beyond its requested delay.',
      labelNames: ['job'] as const,
      buckets: JOB_BUCKETS,
      registers,
    }),
    queueJobs: new Gauge({
      name: 'tandem_queue_jobs',
      help: 'Jobs in the queues, at the last check.',
      labelNames: ['class', 'state'] as const,
      registers,
    }),
    roundsFailed: new Counter({
      name: 'tandem_rounds_failed_total',
      help: 'Rounds of housekeeping with a failure; the next round retries.',
      labelNames: ['round'] as const,
      registers,
    }),
    roundAge: new Gauge({
      name: 'tandem_round_age_seconds',
      help: 'Time since the last round of housekeeping without a failure, or since the start if there was none.',
      labelNames: ['round'] as const,
      registers,
    }),
  };
}

/** Registers the metrics of events that are not yet sent to Redis. */
function outboxMetrics(registers: Registry[]) {
  return {
    outboxEntries: new Gauge({
      name: 'tandem_outbox_entries',
      help: 'Events not yet sent to Redis, up to 100,000, at the last check.',
      registers,
    }),
    outboxAge: new Gauge({
      name: 'tandem_outbox_oldest_seconds',
      help: 'Age of the oldest event not yet sent to Redis; 0 if there is none.',
      registers,
    }),
    outboxRelayed: new Counter({
      name: 'tandem_outbox_relayed_total',
      help: 'Events that this worker sent to Redis.',
      registers,
    }),
  };
}

function expiryMetrics(registers: Registry[]) {
  return {
    rowsOverdue: new Gauge({
      name: 'tandem_rows_overdue_seconds',
      help: 'How long the oldest row of a table has outlived its retention, at the last check; 0 if none has.',
      labelNames: ['table'] as const,
      registers,
    }),
  };
}

function rolloutMetrics(registers: Registry[]) {
  return {
    rolloutPreparing: new Gauge({
      name: 'tandem_rollout_preparing_seconds',
      help: 'Time since the start of a rollout whose arms serve no user yet.',
      labelNames: ['predictor'] as const,
      registers,
    }),
    rolloutOverdue: new Gauge({
      name: 'tandem_rollout_overdue_seconds',
      help: 'Time since the deadline of a rollout that is still preparing or held, or that the analysis has not judged.',
      labelNames: ['predictor', 'state'] as const,
      registers,
    }),
  };
}

function watchMetrics(registers: Registry[]) {
  return {
    watchesMissing: new Gauge({
      name: 'tandem_watches_missing',
      help: 'Tables of features.watch that are not watched, and watched tables that lack a trigger.',
      labelNames: ['predictor'] as const,
      registers,
    }),
    watchesFaulted: new Gauge({
      name: 'tandem_watches_faulted',
      help: 'Watched tables that may have missed changes: no stored prediction of the predictor is fresh.',
      labelNames: ['predictor', 'reason'] as const,
      registers,
    }),
  };
}

function progressMetrics(registers: Registry[]) {
  return {
    ...workMetrics(registers),
    ...watchMetrics(registers),
    runsUnfinished: new Gauge({
      name: 'tandem_runs_unfinished',
      help: 'Runs that are not finished.',
      labelNames: ['predictor', 'state'] as const,
      registers,
    }),
    runChunks: new Gauge({
      name: 'tandem_run_chunks',
      help: 'Chunks of the runs that are not finished, by state.',
      labelNames: ['predictor', 'state'] as const,
      registers,
    }),
    runAge: new Gauge({
      name: 'tandem_run_oldest_seconds',
      help: 'Age of the oldest run that is not finished.',
      labelNames: ['predictor'] as const,
      registers,
    }),
    generationAge: new Gauge({
      name: 'tandem_generation_age_seconds',
      help: 'Age of the current generation, counted from the planning of its run.',
      labelNames: ['predictor'] as const,
      registers,
    }),
    generationsNotLoaded: new Gauge({
      name: 'tandem_generations_not_loaded',
      help: 'Current generations that Redis does not hold completely; their users are read from Postgres.',
      registers,
    }),
  };
}

function workMetrics(registers: Registry[]) {
  const desiredWorkers = new Gauge({
    name: 'tandem_desired_workers',
    help: 'Workers needed to finish the waiting work by the deadlines of runs, at the measured rate of a worker.',
    registers,
  });
  // With a label, the series does not exist before its value is known; without labels it would be 0.
  desiredWorkers.remove();
  return {
    desiredWorkers,
    waitingUsers: new Gauge({
      name: 'tandem_waiting_users',
      help: 'Users of unfinished runs that are not scored yet.',
      labelNames: ['predictor'] as const,
      registers,
    }),
    workerRate: new Gauge({
      name: 'tandem_worker_users_per_second',
      help: 'Users that one worker scores each second, as measured in an unfinished run and the previous run.',
      labelNames: ['predictor'] as const,
      registers,
    }),
    runOverdue: new Gauge({
      name: 'tandem_run_overdue_seconds',
      help: 'Time since the deadline of an unfinished run; 0 before it.',
      labelNames: ['predictor'] as const,
      registers,
    }),
  };
}
