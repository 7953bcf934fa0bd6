/** Tests the whole history. */
import { testValueOfLast } from './value-history.fixture.ts';

testValueOfLast(153, 1_000);
