/** All that `shop value` writes. */
import { testValueOfLast } from './value-history.fixture.ts';

testValueOfLast(153, 1_000);
