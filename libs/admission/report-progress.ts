/** Reports a slow step while it runs. */

/** Does the work of a step, and reports if it is slow. The name completes the sentence "still …". */
export type ReportProgress = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** Reports nothing: for output that a program reads, or that is not a terminal. */
export const reportNothing: ReportProgress = (_, work) => work();
