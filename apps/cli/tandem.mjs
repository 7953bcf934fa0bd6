#!/usr/bin/env node
/**
 * The `tandem` command of a clone, which npm links as node_modules/.bin/tandem. It uses only features of Node 20: npx
 * uses the Node of the clone, but a shell starts this file with the Node of the PATH.
 */
if (process.features.typescript) {
  await import('./main.ts');
} else {
  const { node } = process.versions;
  process.stderr.write(
    `tandem: needs Node 22.18 or newer, but this is ${node}; run npx tandem, which uses the Node of the clone, or install Node 24\n`,
  );
  process.exitCode = 1;
}
