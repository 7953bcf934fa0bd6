/** Tests the last month. shop.long.test.ts tests the whole period that docs/value.md reports. */
import { testValueOfLast } from './shop.fixture.ts';

testValueOfLast(31, 100);
