import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { failpointNames } from './failpoints.ts';
import { applyPatches, byFile } from './patch.ts';
import { findPlants, plants } from './plants.ts';

const textOf = (file: string) => readFileSync(fileURLToPath(new URL(`../../../../${file}`, import.meta.url)), 'utf8');

describe.each(plants)('$name', (plant) => {
  it.each([...byFile([plant])])(
    'finds each of its places in %s once, and leaves a file that can be loaded',
    (file, patches) => {
      const text = textOf(file);
      const patched = applyPatches(text, patches);
      expect(patched).not.toBe(text);
      if (file.endsWith('.ts')) expect(stripTypeScriptTypes(patched)).not.toBe('');
    },
  );
});

describe('failpoints', () => {
  it('have different names', () => {
    expect(new Set(failpointNames).size).toBe(failpointNames.length);
    expect(failpointNames.length).toBeGreaterThan(40);
  });

  it('can be combined with every control', () => {
    for (const plant of plants) {
      if (plant.name === 'failpoints') continue;
      for (const [file, patches] of byFile([...findPlants(['failpoints']), plant])) applyPatches(textOf(file), patches);
    }
  });
});

describe('applyPatches', () => {
  const patch = (find: string, replace: string) => ({ file: 'a.ts', find, replace });

  it('looks for each patch in the original text', () => {
    expect(applyPatches('one two', [patch('two', 'one'), patch('one', 'two')])).toBe('two one');
  });

  it('rejects a text that is missing, that occurs twice, or that two patches change', () => {
    expect(() => applyPatches('one', [patch('two', '')])).toThrow(/a\.ts: .*not in the file: "two"/);
    expect(() => applyPatches('one one', [patch('one', '')])).toThrow(/more than once/);
    expect(() => applyPatches('one two', [patch('one t', ''), patch('two', '')])).toThrow(/two plants/);
  });

  it('rejects a name without a plant', () => {
    expect(() => findPlants(['N1', 'N99'])).toThrow(/no plant "N99"/);
  });
});
