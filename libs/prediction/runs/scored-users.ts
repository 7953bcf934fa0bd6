/**
 * The scored users of a chunk in columns. With an object and a buffer for each user they took 300 bytes a user, and
 * their garbage collection took a tenth of a worker's time.
 */
export interface ScoredUsers {
  readonly userIds: readonly string[];
  /** The label of each user. */
  readonly contextVersions: readonly number[];
  /** The outputs of all users in order, in the layout of outputs.ts. */
  readonly outputs: Buffer;
  /** The offset of each user's outputs, and the end of the last outputs. */
  readonly offsets: Uint32Array;
}

/** One scored user of a chunk. */
export interface ScoredUser {
  readonly userId: string;
  readonly contextVersion: number;
  readonly outputs: Buffer;
}

export function scoredUsers(users: readonly ScoredUser[]): ScoredUsers {
  const offsets = new Uint32Array(users.length + 1);
  users.forEach(({ outputs }, i) => {
    offsets[i + 1] = (offsets[i] as number) + outputs.length;
  });
  return {
    userIds: users.map(({ userId }) => userId),
    contextVersions: users.map(({ contextVersion }) => contextVersion),
    outputs: Buffer.concat(users.map(({ outputs }) => outputs)),
    offsets,
  };
}

/** Returns an object for each user. The outputs share the memory of the columns. */
export function eachUser({ userIds, contextVersions, outputs, offsets }: ScoredUsers): ScoredUser[] {
  return userIds.map((userId, i) => ({
    userId,
    contextVersion: contextVersions[i] ?? 0,
    outputs: outputs.subarray(offsets[i], offsets[i + 1]),
  }));
}
