/** Tests the whole history. */
import { testValueOfLast } from './shop.fixture.ts';

testValueOfLast(153, 1_000);
