import { describe } from 'vitest';
import { testInterleavings } from './interleavings.ts';

/** Fewer where the whole is run for many versions; many in interleavings.long.test.ts. */
const RUNS = Number(process.env.FRESHNESS_RUNS || 20);

describe('freshness', () => testInterleavings(RUNS));
