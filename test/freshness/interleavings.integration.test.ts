import { describe } from 'vitest';
import { testInterleavings } from './interleavings.ts';

/** The number of runs: fewer in the version matrix, many in interleavings.long.test.ts. */
const RUNS = Number(process.env.FRESHNESS_RUNS || 20);

describe('freshness', () => testInterleavings(RUNS));
