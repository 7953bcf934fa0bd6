/** The upper bounds of the histograms, ascending. */

/** Seconds; from the 0.1 ms of a stored read to the slowest that a caller waits for. */
export const LATENCY_BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
];
/** Seconds of a chunk, a job or a run. */
export const JOB_BUCKETS = [0.05, 0.25, 1, 5, 15, 60, 300, 900, 3600, 14_400];
/** Seconds from an event until its user is read: a click away, or days. */
export const DELAY_BUCKETS = [0.01, 0.05, 0.25, 1, 5, 30, 300, 3600, 21_600, 86_400, 604_800];
/** Users of one statement. */
export const USER_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 5000];
