/**
 * A law of growth: what must stay bounded however many users, events, predictors or processes there are. Each law seeds
 * its own servers by COPY or one insert, in seconds, and asserts work and lock time against a bound, so that a scale that
 * takes hours in production is checked in minutes.
 */
import type { Figure } from '../section.ts';
import type { BenchServers } from '../service.ts';

export interface Law {
  /** As named on the command line: `npm run bench:laws -- --only retention`. */
  readonly name: string;
  /** What holds at any size, in one sentence. */
  readonly promise: string;
  /**
   * Measures on fresh, migrated servers, which the caller stops. Each figure that has a target is asserted.
   * @param say reports progress to a person
   */
  measure(servers: BenchServers, say: (line: string) => void): Promise<readonly Figure[]>;
}
