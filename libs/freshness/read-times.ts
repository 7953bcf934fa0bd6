/** Where the time of a read goes, for whoever looks at single requests. */

/** In ms; what was not waited for is not set. A type alias, so that it passes for fields of a line of the log. */
export type ReadTimes = {
  /** For Postgres to certify the read, also where it did not. */
  certifyMs?: number;
  /** For live inference of its users, features included. */
  liveMs?: number;
};

/** Milliseconds since a moment of `performance.now()`, to the microsecond. */
export function since(moment: number): number {
  return Math.round((performance.now() - moment) * 1000) / 1000;
}
