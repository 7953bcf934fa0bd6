/** What the primary process and the API processes of one port say to each other over Node's IPC channel. */

/** What one process asks all others, to answer for the whole port. */
export type Question = 'exposition' | 'readiness';

/** From the primary to an API process. */
export type Order =
  /** Drain and end. `restart`: the other processes keep the port, so nothing in front needs to notice. */
  | { readonly kind: 'leave'; readonly cause: 'end' | 'restart'; readonly reason: string }
  | { readonly kind: 'question'; readonly id: number; readonly question: Question }
  /** To the process that asked; null for a process that did not answer in time. */
  | { readonly kind: 'answers'; readonly id: number; readonly answers: readonly unknown[] };

/** From an API process to the primary. */
export type Report =
  /** It listens on its ports. */
  | { readonly kind: 'started' }
  | { readonly kind: 'gather'; readonly id: number; readonly question: Question }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  /** Wants an empty `answers`: whatever the primary sent before has come then. */
  | { readonly kind: 'flush'; readonly id: number };
