/** Reads the artifact that a config names: its bytes once, hashed, so that what was checked is what is adopted. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { MAX_MODEL_BYTES, SMALLER_MODEL, tooLargeForModel } from '@tandem/prediction/models/model-limits';
import type { SettingProblem } from '../config-problem.ts';

export interface ModelFile {
  /** Absolute. */
  readonly path: string;
  readonly bytes: Buffer;
  /** sha256, 64 hex digits: the `artifactHash` of a model version. */
  readonly sha256: string;
}

/** The model of a predictor, or why there is none. `model` is relative to the config file. */
export async function readModelFile(
  model: string,
  configFile: string,
  path: string,
): Promise<{ ok: true; model: ModelFile } | { ok: false; problem: SettingProblem }> {
  const file = resolve(dirname(configFile), model);
  const refuse = (problem: string, remedy: string) => ({ ok: false as const, problem: { path, problem, remedy } });
  try {
    const facts = await stat(file);
    if (!facts.isFile()) return refuse(`${file} is not a file`, 'name the ONNX file itself');
    if (facts.size === 0) return refuse(`${file} is empty`, 'export the model again');
    if (facts.size > MAX_MODEL_BYTES) {
      return refuse(`${file} ${tooLargeForModel(facts.size)}`, SMALLER_MODEL);
    }
    const bytes = await readFile(file);
    return { ok: true, model: { path: file, bytes, sha256: createHash('sha256').update(bytes).digest('hex') } };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return refuse(`there is no file ${file}`, 'correct the path; it is relative to the config file');
    }
    return refuse(`${file} cannot be read (${code})`, 'make it readable for the user that runs Tandem');
  }
}
