/**
 * Checks that users stay in the arm that a rollout assigned. Until the rollout is aborted its arms only grow, so a user of
 * an arm stays in it. While the arms do not grow, a user of the stable arm stays there too.
 *
 * Memory: 16 bytes per user.
 */
export interface SettledUsers {
  /** Notes that a rollout may begin: no user's arm is known. */
  start(at: number): void;
  /** Notes that the rollout's arms may grow. */
  grow(): void;
  /** Notes that the arms have grown, and do not grow until the next `grow`. */
  settle(at: number): void;
  /** Notes that the rollout may be aborted: users' arms are unknown until the next rollout. */
  end(): void;
  /**
   * Checks a fresh answer of the rollout's arm and returns the violation. An answer requested before the rollout belongs to
   * an earlier rollout, and is not checked.
   */
  servedFromArm(user: number, at: number, ended: number): string | null;
  /** Checks a fresh answer of the version that was stable when the rollout began, and returns the violation. */
  servedFromStable(user: number, at: number): string | null;
}

const NEVER = Number.NEGATIVE_INFINITY;
const FOR_EVER = Number.POSITIVE_INFINITY;

export function createSettledUsers(): SettledUsers {
  let isOn = false;
  let startedAt = FOR_EVER;
  /** The moment since when the arms have certainly not grown. */
  let since = FOR_EVER;
  /** Maps a user to the end of the first read that was answered from the arm. */
  const inArm = new Map<number, number>();
  /** Maps a user to the start of the latest read that was answered from the stable arm. */
  const inStable = new Map<number, number>();

  function forget(): void {
    since = FOR_EVER;
    inArm.clear();
    inStable.clear();
  }

  return {
    start(at) {
      isOn = true;
      startedAt = at;
      forget();
    },
    grow() {
      since = FOR_EVER;
    },
    settle(at) {
      since = Math.min(since, at);
    },
    end() {
      isOn = false;
      forget();
    },
    servedFromArm(user, at, ended) {
      if (!isOn || at < startedAt) return null;
      inArm.set(user, Math.min(ended, inArm.get(user) ?? FOR_EVER));
      return (inStable.get(user) ?? NEVER) > since ? 'from the stable arm, with no step between' : null;
    },
    servedFromStable(user, at) {
      if (!isOn) return null;
      inStable.set(user, Math.max(at, inStable.get(user) ?? NEVER));
      return at > (inArm.get(user) ?? FOR_EVER) ? 'back to the stable arm, although the rollout was not aborted' : null;
    },
  };
}
