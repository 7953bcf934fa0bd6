/**
 * A law of growth: a bound that must hold for any number of users, events, predictors or processes. Each law seeds its
 * own servers by COPY or one insert, in seconds, and compares work and lock time with the bound. So a scale that takes
 * hours to reach in production is checked in minutes.
 */
import type { Figure } from '../section.ts';
import type { BenchServers } from '../service.ts';

export interface Law {
  /** The name on the command line: `npm run bench:laws -- --only retention`. */
  readonly name: string;
  /** One sentence that must be true at any size. */
  readonly promise: string;
  /**
   * Measures on fresh, migrated servers, which the caller stops. The caller asserts each figure that has a target.
   * @param say reports progress to a person
   */
  measure(servers: BenchServers, say: (line: string) => void): Promise<readonly Figure[]>;
}
