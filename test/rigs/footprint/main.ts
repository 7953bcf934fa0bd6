/** `npm run footprint` prints how many files and function lines each operation executes. `--files` lists the files. */
import { parseArgs } from 'node:util';
import { measureFootprints } from './measure-footprints.ts';

const { values: options } = parseArgs({ options: { files: { type: 'boolean', default: false } } });

for (const [name, footprint] of await measureFootprints()) {
  const lines = [...footprint.values()].reduce((sum, one) => sum + one, 0);
  process.stdout.write(`${name}: ${footprint.size} files, ${lines} function lines\n`);
  if (!options.files) continue;
  for (const [file, count] of [...footprint].sort()) process.stdout.write(`  ${String(count).padStart(4)} ${file}\n`);
}
