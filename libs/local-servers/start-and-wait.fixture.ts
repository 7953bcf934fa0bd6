/**
 * A parent process, like `tandem up`, that starts a server and then waits to be killed: `node start-and-wait.fixture.ts
 * <postgres|redis> <data folder> [server folder]`. It prints one line of JSON when the server runs.
 */
import { startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';

const [kind, dataDir = '', serverDir = ''] = process.argv.slice(2);
const log = (line: string) => console.error(line);
const { pid, url } = await (kind === 'postgres'
  ? startPostgres({ dataDir, log })
  : startRedis({ dataDir, serverDir, log }));
console.log(JSON.stringify({ pid, url }));
setInterval(() => undefined, 60_000);
