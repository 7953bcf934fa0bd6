/**
 * A limit of so many a second: a bucket that fills at that rate and holds the requests of one second, at least one. So
 * the requests of a second may arrive at once; over a longer time at most the rate is allowed, plus these once.
 */

/** Milliseconds that only go forward. */
export type Clock = () => number;

export class TokenBucket {
  readonly perSecond: number;
  /** The requests of one second. */
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

  /** Takes up to the given number of whole tokens; returns how many. */
  take(wanted: number): number {
    const now = this.#clock();
    this.#tokens = Math.min(this.most, this.#tokens + ((now - this.#at) / 1000) * this.perSecond);
    this.#at = now;
    const taken = Math.min(wanted, Math.floor(this.#tokens));
    this.#tokens -= taken;
    return taken;
  }

  /** Returns tokens that were taken and are not used. */
  giveBack(unused: number): void {
    this.#tokens = Math.min(this.most, this.#tokens + unused);
  }

  /** Milliseconds until the next token, as of the last take; 0 if there is one. */
  secondsToNext(): number {
    return Math.max(0, (1 - this.#tokens) / this.perSecond);
  }
}
