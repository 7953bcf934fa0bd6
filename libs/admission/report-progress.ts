/** Reports a slow step while it runs. */

/** Does the work of a step, whose name completes "still …". */
export type ReportProgress = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** For output that a program reads, or that is not a terminal. */
export const reportNothing: ReportProgress = (_, work) => work();
