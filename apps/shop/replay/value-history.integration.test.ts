/** Tests the last month. value-history.long.test.ts tests the whole period that docs/value.md reports. */
import { testValueOfLast } from './value-history.fixture.ts';

testValueOfLast(31, 100);
