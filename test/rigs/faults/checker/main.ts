/**
 * Checks a history from a file: `node test/rigs/faults/checker/main.ts history.ndjson`. Exits with 1 if it finds a
 * violation.
 */
import { readHistory } from '../history-file.ts';
import { createChecker } from './checker.ts';
import { countViolations, reportOf } from './report.ts';

const [path] = process.argv.slice(2);
if (path === undefined) {
  process.stderr.write('the history file is missing; call node test/rigs/faults/checker/main.ts history.ndjson\n');
  process.exit(2);
}
const checker = createChecker();
let operations = 0;
for await (const piece of readHistory(path)) {
  for (const operation of piece) checker.write(operation);
  operations += piece.length;
}
checker.close();
const { user, system } = process.cpuUsage();
const seconds = (user + system) / 1e6;
const megabytes = Math.round(process.memoryUsage().rss / 1024 / 1024);
process.stdout.write(`${reportOf(checker)}
${operations} operations with ${checker.reads.answers} answers in ${seconds.toFixed(1)} s of CPU: ${Math.round(checker.reads.answers / seconds)} answers a second, ${megabytes} MB
`);
process.exitCode = countViolations(checker) === 0 ? 0 : 1;
