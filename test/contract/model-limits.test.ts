import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { INFERENCE_MEMORY_MB, MAX_MODEL_SIZE } from '@tandem/prediction/models/model-limits';
import { expect, it } from 'vitest';

it('docs/models.md has the limits of a model: its file, and the memory of a process that runs it', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/models.md'), 'utf8');
  expect(page).toContain(`a model file has at most ${MAX_MODEL_SIZE}`);
  expect(page).toContain(`\`INFERENCE_MEMORY_MB\` (${INFERENCE_MEMORY_MB} MB by default)`);
});
