import { describe } from 'vitest';
import { testInterleavings } from './interleavings.ts';

describe('freshness', () => testInterleavings(300));
