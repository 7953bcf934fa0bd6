/**
 * Renders the types of libs/client/wire-types.ts without Zod, for the published packages: an application that uses the
 * client needs no schema library.
 */
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { renderTypes } from '@tandem/wire/client-types/render-types';
import { SENT } from '@tandem/wire/client-types/sent';
import { root } from './plans.ts';

/** Returns a TypeScript declaration for each named schema of the wire. */
export async function renderClientTypes(): Promise<string> {
  for (const file of globSync(['libs/wire/*.ts', 'libs/extensions/*/wire.ts', 'libs/extensions/*/wire/*.ts'], {
    cwd: root,
  })) {
    if (!file.endsWith('.test.ts')) await import(join(root, file));
  }
  return `/** The types of the wire. Moments are ISO 8601 in UTC. */\n\n${renderTypes(SENT)}\n`;
}
