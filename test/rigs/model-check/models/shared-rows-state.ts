/** The state, the rules and the scope of shared-rows.ts. */

export interface SharedRowRules {
  /** When the user of a changed child row is looked up. */
  readonly looksUp: 'again under the lock' | 'at commit' | 'in the statement';
  /** Whether a bulk change excludes transactions that look up users. */
  readonly bulk: 'excludes look-ups' | 'locks nothing';
  /** Whether a change locks the row of an erased user, whose version it does not raise. */
  readonly erased: 'locked' | 'skipped';
}

export interface SharedRowScope {
  /** Transactions that add a child row. */
  readonly children: number;
  /** Transactions that move the parent row to the other user, one after another, and raise both users. */
  readonly moves: number;
  /** Moves that raise only the source version. */
  readonly bulkMoves: number;
  /** Whether the first user is erased at the beginning, and readmitted at any time. */
  readonly isErased: boolean;
}

export interface Child {
  is: 'to come' | 'open' | 'looked' | 'locked' | 'raised' | 'over';
  /** The user that the key gave last. */
  user: number;
  /** Whether it holds the row of that user, and whether its commit raises the version. */
  holds: boolean;
  raises: boolean;
}

export interface User {
  version: number;
  deleted: number;
  isErased: boolean;
  /** The number of committed changes of the user's rows, which no process reads. */
  changes: number;
  stored: { label: number; floor: number; from: number } | null;
}

export interface SharedRowState {
  /** The user of the parent row in the last commit. */
  owner: number;
  source: number;
  users: User[];
  children: Child[];
  /** The only open move, because each move locks the parent row. `next` is the next user to lock. */
  mover: { is: 'idle' | 'moved' | 'bulk' | 'excludes'; next: number; holds: number[] };
  reader: {
    is: 'away' | 'asking' | 'told';
    user: number;
    due: number;
    version: number;
    deleted: number;
    floor: number;
  };
  left: { moves: number; bulkMoves: number };
  broken: string | null;
}
