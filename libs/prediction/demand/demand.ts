/** How often users are read, decayed: recency and frequency in one number. */
export interface DemandStore {
  /** Returns the weight of each user that has one; an absent user's is 0. */
  weightsOf(userIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
}
