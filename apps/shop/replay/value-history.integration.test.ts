/** The last month; value-history.long.test.ts has all that docs/value.md reports. */
import { testValueOfLast } from './value-history.fixture.ts';

testValueOfLast(31, 100);
