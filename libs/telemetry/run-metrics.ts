/** Metrics of the batch path: runs, chunks, jobs and waiting work. */
import { counter, gauge, histogram } from './instruments.ts';
import { JOB_BUCKETS } from './series.ts';

export const RUN_METRICS = {
  // The batch path.
  runs: counter('tandem_runs_total', 'Batch runs that reached a state.', ['predictor', 'scope', 'state']),
  runDuration: histogram('tandem_run_seconds', 'Time of a batch run from its start to its end.', JOB_BUCKETS, [
    'predictor',
    'scope',
  ]),
  chunks: counter('tandem_chunks_total', 'Chunks of batch runs by outcome.', ['predictor', 'state']),
  chunkDuration: histogram('tandem_chunk_seconds', 'Time to read, score and commit a chunk.', JOB_BUCKETS, [
    'predictor',
  ]),
  usersScored: counter(
    'tandem_users_scored_total',
    'Users of committed chunks: scored, or failed and named in the report of the run.',
    ['predictor', 'outcome'],
  ),

  // Steps of a run: planning and publication.
  runSteps: counter(
    'tandem_run_steps_total',
    'Attempts at planning or publishing a run, by outcome: done, abandoned, given_back, stopped or failed.',
    ['predictor', 'step', 'outcome'],
  ),
  runStepTakeovers: counter(
    'tandem_run_step_takeovers_total',
    "Plans and publications taken over after a worker's lease expired.",
    ['predictor', 'step'],
  ),

  // Comparisons of new generations with the current ones.
  generationReports: counter(
    'tandem_generation_reports_total',
    'Comparisons of a new generation with the current generation, by verdict.',
    ['predictor', 'verdict'],
  ),
  generationPsi: gauge(
    'tandem_generation_psi',
    'Population stability index of an output, of the last comparison, against the previous or first generation.',
    ['predictor', 'output', 'against'],
  ),
  generationFlips: gauge(
    'tandem_generation_flips_ratio',
    'Share of users whose decision flipped, of the last comparison of generations: up or down.',
    ['predictor', 'direction'],
  ),

  // Chunks that more than one worker has claimed.
  chunksAbandoned: counter(
    'tandem_chunks_abandoned_total',
    'Chunks with results that were not written, by reason: the fence was lost, the history changed, or the run ended.',
    ['predictor', 'why'],
  ),
  chunkTakeovers: counter('tandem_chunk_takeovers_total', "Chunks taken over after a worker's lease expired.", [
    'predictor',
  ]),
  usersHandedBack: counter(
    'tandem_users_handed_back_total',
    'Users that a slow or stopping worker returned unscored, as new chunks.',
    ['predictor'],
  ),

  // Jobs and rounds of housekeeping.
  jobDuration: histogram(
    'tandem_job_seconds',
    'Time of a job from the queue, by outcome: completed, retrying or failed.',
    JOB_BUCKETS,
    ['job', 'state'],
  ),
  jobWait: histogram(
    'tandem_job_wait_seconds',
    'Time that a job waited in the queue beyond its requested delay.',
    JOB_BUCKETS,
    ['job'],
  ),
  queueJobs: gauge('tandem_queue_jobs', 'Jobs in the queues, at the last check.', ['class', 'state']),
  roundsFailed: counter(
    'tandem_rounds_failed_total',
    'Rounds of housekeeping with a failure; the next round retries.',
    ['round'],
  ),
  roundAge: gauge(
    'tandem_round_age_seconds',
    'Time since the last round of housekeeping without a failure, or since the start if there was none.',
    ['round'],
  ),

  // Events that are not yet sent to Redis.
  outboxEntries: gauge('tandem_outbox_entries', 'Events not yet sent to Redis, up to 100,000, at the last check.'),
  outboxAge: gauge(
    'tandem_outbox_oldest_seconds',
    'Age of the oldest event not yet sent to Redis; 0 if there is none.',
  ),
  outboxRelayed: counter('tandem_outbox_relayed_total', 'Events that this worker sent to Redis.'),

  // Waiting work, watches and progress of runs.
  desiredWorkers: gauge(
    'tandem_desired_workers',
    'Workers needed to finish the waiting work by the deadlines of runs, at the measured rate of a worker.',
  ),
  waitingUsers: gauge('tandem_waiting_users', 'Users of unfinished runs that are not scored yet.', ['predictor']),
  workerRate: gauge(
    'tandem_worker_users_per_second',
    'Users that one worker scores each second, as measured in an unfinished run and the previous run.',
    ['predictor'],
  ),
  runOverdue: gauge('tandem_run_overdue_seconds', 'Time since the deadline of an unfinished run; 0 before it.', [
    'predictor',
  ]),
  watchesMissing: gauge(
    'tandem_watches_missing',
    'Tables of features.watch that are not watched, and watched tables that lack a trigger.',
    ['predictor'],
  ),
  watchesFaulted: gauge(
    'tandem_watches_faulted',
    'Watched tables that may have missed changes: no stored prediction of the predictor is fresh.',
    ['predictor', 'reason'],
  ),
  runsUnfinished: gauge('tandem_runs_unfinished', 'Runs that are not finished.', ['predictor', 'state']),
  runChunks: gauge('tandem_run_chunks', 'Chunks of the runs that are not finished, by state.', ['predictor', 'state']),
  runAge: gauge('tandem_run_oldest_seconds', 'Age of the oldest run that is not finished.', ['predictor']),
  generationAge: gauge(
    'tandem_generation_age_seconds',
    'Age of the current generation, counted from the planning of its run.',
    ['predictor'],
  ),
  generationsNotLoaded: gauge(
    'tandem_generations_not_loaded',
    'Current generations that Redis does not hold completely; their users are read from Postgres.',
  ),

  // Rollouts.
  rolloutPreparing: gauge(
    'tandem_rollout_preparing_seconds',
    'Time since the start of a rollout whose arms serve no user yet.',
    ['predictor'],
  ),
  rolloutOverdue: gauge(
    'tandem_rollout_overdue_seconds',
    'Time since the deadline of a rollout that is still preparing or held, or that the analysis has not judged.',
    ['predictor', 'state'],
  ),

  // Rows beyond their retention.
  rowsOverdue: gauge(
    'tandem_rows_overdue_seconds',
    'How long the oldest row of a table has outlived its retention, at the last check; 0 if none has.',
    ['table'],
  ),
};
