/** Loads `tandem.config.ts`: imports it, judges every setting, reads the models, and tells all that is wrong at once. */
import { checkForm, type FormCheck, pathText } from './check-form.ts';
import { configError, type SettingProblem } from '../config-problem.ts';
import type { ParsedPredictor } from './config-schema.ts';
import { importConfig } from './import-config.ts';
import { readModelFile } from './model-file.ts';
import { type ResolvedPredictor, resolvePredictor } from './resolve-predictor.ts';
import { settingConflicts } from './setting-conflicts.ts';

export interface LoadedConfig {
  /** Absolute. */
  readonly file: string;
  /** In the config's order; at least one. */
  readonly predictors: readonly ResolvedPredictor[];
}

/**
 * @param path a config file, or a folder with a `tandem.config.ts`; relative to the working directory
 * @throws TandemError `config_invalid`, with every ConfigProblem (config-problem.ts, `problemsOf`)
 */
export async function loadConfig(path: string): Promise<LoadedConfig> {
  const imported = await importConfig(path);
  if (!imported.ok) throw configError([imported.problem]);
  return checkConfig(imported.value, imported.file);
}

/** Judges a config value as if `file` had exported it. Throws as `loadConfig` does. */
export async function checkConfig(value: unknown, file: string): Promise<LoadedConfig> {
  const form = checkForm(value);
  const problems: SettingProblem[] = form.ok ? noPredictors(form) : [...form.problems];
  const resolved: ResolvedPredictor[] = [];
  for (const [name, predictor] of Object.entries(form.ok ? form.config.predictors : form.rest)) {
    problems.push(...settingConflicts(name, predictor));
    if (predictor.model === undefined) continue;
    const read = await readModelFile(predictor.model, file, pathText(['predictors', name, 'model']));
    if (!read.ok) problems.push(read.problem);
    else if (form.ok) resolved.push(resolvePredictor(name, predictor as ParsedPredictor, read.model));
  }
  if (problems.length > 0) throw configError(problems.map((problem) => ({ file, ...problem })));
  return { file, predictors: resolved };
}

function noPredictors(form: Extract<FormCheck, { ok: true }>): SettingProblem[] {
  if (Object.keys(form.config.predictors).length > 0) return [];
  return [{ path: 'predictors', problem: 'is empty: there would be nothing to serve', remedy: 'add a predictor' }];
}
