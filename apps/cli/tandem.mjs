#!/usr/bin/env node
/**
 * The `tandem` command of a clone, which npm links as node_modules/.bin/tandem. It uses only what Node 20 has: npx finds the
 * clone's own Node, but a shell starts this file with the Node of the PATH.
 */
if (process.features.typescript) {
  await import('./main.ts');
} else {
  const { node } = process.versions;
  process.stderr.write(
    `tandem: needs Node 22.18 or newer, and this is ${node}: run npx tandem, which uses the clone's own Node, or install Node 24\n`,
  );
  process.exitCode = 1;
}
