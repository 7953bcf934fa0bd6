/** `npm run footprint` prints how many files and function lines each operation executes. */
import { readCommandLine } from '../command-line.ts';
import { measureFootprints } from './measure-footprints.ts';

const HELP = `npm run footprint -- [options]
  --files   also list the files
`;

const { files: showsFiles } = readCommandLine(HELP, { files: { type: 'boolean', default: false } }, (values) => values);

for (const [name, footprint] of await measureFootprints()) {
  const lines = [...footprint.values()].reduce((sum, one) => sum + one, 0);
  process.stdout.write(`${name}: ${footprint.size} files, ${lines} function lines\n`);
  if (!showsFiles) continue;
  for (const [file, count] of [...footprint].sort()) process.stdout.write(`  ${String(count).padStart(4)} ${file}\n`);
}
