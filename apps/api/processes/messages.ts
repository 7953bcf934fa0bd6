/** Messages between the primary process and the API processes of one port, over Node's IPC channel. */

/** A question that one process asks all others, so that it can answer for the whole port. */
export type Question = 'exposition' | 'readiness';

/** A message from the primary to an API process. */
export type Order =
  /**
   * Makes the process drain and end. With `restart`, the other processes keep the port, so a proxy in front need not
   * notice.
   */
  | { readonly kind: 'leave'; readonly cause: 'end' | 'restart'; readonly reason: string }
  | { readonly kind: 'question'; readonly id: number; readonly question: Question }
  /** The answers for the process that asked, with null for a process that did not answer in time (questions.ts). */
  | { readonly kind: 'answers'; readonly id: number; readonly answers: readonly unknown[] };

/** A message from an API process to the primary. */
export type Report =
  /** Says that the process listens on its ports. */
  | { readonly kind: 'started' }
  | { readonly kind: 'gather'; readonly id: number; readonly question: Question }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  /** Requests an empty `answers` message, which arrives after all earlier messages of the primary. */
  | { readonly kind: 'flush'; readonly id: number };
