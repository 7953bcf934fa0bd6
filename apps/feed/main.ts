/** `npm run feed`: writes the simulated feed as a history for `tandem value`. */
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { feedHistory } from './feed-history.ts';

const help = `Usage: npm run feed      writes a SIMULATED history in which minutes count (docs/value.md)

Options:
  --seed 1                            the seed of all random draws
  --file .tandem/feed-history.ndjson  the file for the history
`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    seed: { type: 'string', default: '1' },
    file: { type: 'string', default: '.tandem/feed-history.ndjson' },
  },
});

if (values.help) process.stdout.write(help);
else if (!/^[1-9]\d{0,8}$/.test(values.seed)) {
  console.error(`feed: --seed ${values.seed} is not a whole number from 1 on`);
  process.exitCode = 2;
} else await write(Number(values.seed), values.file);

async function write(seed: number, file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await pipeline(function* () {
    for (const line of feedHistory({ seed })) yield `${line}\n`;
  }, createWriteStream(file));
  console.log(`Simulated history: ${file}\nnpx tandem value offer --config apps/feed --history ${file}`);
}
