/**
 * A rate limit: a bucket that fills at the rate and holds the requests of one second, at least one. So the requests of
 * a second may arrive at once. Over a longer time at most the rate is allowed, plus one full bucket.
 */

/** A clock in milliseconds that only rises. */
export type Clock = () => number;

export class TokenBucket {
  readonly perSecond: number;
  /** The capacity: the requests of one second. */
  readonly most: number;
  readonly #clock: Clock;
  #tokens: number;
  #at: number;

  constructor(perSecond: number, clock: Clock = () => performance.now()) {
    this.perSecond = perSecond;
    this.most = Math.max(1, perSecond);
    this.#clock = clock;
    this.#tokens = this.most;
    this.#at = clock();
  }

  /** Takes up to the given number of whole tokens, and returns how many were taken. */
  take(wanted: number): number {
    const now = this.#clock();
    this.#tokens = Math.min(this.most, this.#tokens + ((now - this.#at) / 1000) * this.perSecond);
    this.#at = now;
    const taken = Math.min(wanted, Math.floor(this.#tokens));
    this.#tokens -= taken;
    return taken;
  }

  /** Puts back tokens that were taken but not used. */
  giveBack(unused: number): void {
    this.#tokens = Math.min(this.most, this.#tokens + unused);
  }

  /** Returns the seconds from the last take until the next token; 0 if there is a token. */
  secondsToNext(): number {
    return Math.max(0, (1 - this.#tokens) / this.perSecond);
  }
}
