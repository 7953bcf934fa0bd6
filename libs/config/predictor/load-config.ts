/** Loads `tandem.config.ts`: imports it, checks every setting, reads the models, and reports all problems at once. */

import { type ChildProcess, fork } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkForm, type FormCheck, pathText } from './check-form.ts';
import { type ConfigProblem, configError, type SettingProblem } from './config-problem.ts';
import type { ParsedPredictor } from './config-schema.ts';
import type { Imported } from './import-main.ts';
import { type ResolvedPredictor, readModelFile, resolvePredictor } from './resolve-predictor.ts';
import { settingConflicts } from './setting-conflicts.ts';

interface LoadedConfig {
  /** Absolute. */
  readonly file: string;
  /** Predictors in the config's order; at least one. */
  readonly predictors: readonly ResolvedPredictor[];
}

/**
 * Loads a config with its models.
 * @param path a config file, or a folder with a `tandem.config.ts`; relative to the working directory
 * @throws TandemError `config_invalid`, with every ConfigProblem (config-problem.ts, `problemsOf`)
 */
export async function loadConfig(path: string): Promise<LoadedConfig> {
  const imported = await importConfig(path);
  if (!imported.ok) throw configError([imported.problem]);
  return checkConfig(imported.value, imported.file);
}

/** Reads a config without its models. Throws as `loadConfig` does, for problems of the file itself. */
export async function readConfigForm(path: string) {
  const imported = await importConfig(path);
  if (!imported.ok) throw configError([imported.problem]);
  const { file, value } = imported;
  const form = checkForm(value);
  const problems = form.ok ? noPredictors(form) : [...form.problems];
  for (const [name, predictor] of Object.entries(form.ok ? form.config.predictors : form.rest)) {
    problems.push(...settingConflicts(name, predictor));
  }
  if (!form.ok || problems.length > 0) throw configError(problems.map((problem) => ({ file, ...problem })));
  return { file, form: form.config };
}

/** Checks a config value as if `file` had exported it. Throws as `loadConfig` does. */
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
  return [{ path: 'predictors', problem: 'is empty, so there would be nothing to serve', remedy: 'add a predictor' }];
}

// Imports a config file in a separate process with a deadline. Whatever the file does, the caller gets its value or one
// problem.

const CONFIG_NAME = 'tandem.config.ts';
const DEADLINE_MS = 15_000;
/** The exit code of import-main if the file's top level never settles. */
const EXIT_UNSETTLED = 13;

const EXAMPLE = `import { defineConfig } from 'tandem';

export default defineConfig({
  predictors: {
    churn: {
      model: './churn.onnx',
      features: { sql: 'select customer_id as user_id, visits, spent from customer_features' },
      outputs: { score: 'float32' },
    },
  },
});`;

type ImportedConfig =
  | { readonly ok: true; readonly file: string; readonly value: unknown }
  | { readonly ok: false; readonly problem: ConfigProblem };

/**
 * Returns the value that a config file exports.
 * @param path a config file, or a folder with a `tandem.config.ts`; relative to the working directory
 * @param deadlineMs the time limit for loading the file
 */
export async function importConfig(path: string, deadlineMs = DEADLINE_MS): Promise<ImportedConfig> {
  const asked = resolve(path);
  const facts = await stat(asked).catch(() => null);
  const file = facts?.isDirectory() ? join(asked, CONFIG_NAME) : asked;
  const found = facts?.isDirectory() ? await stat(file).catch(() => null) : facts;
  if (!found?.isFile()) {
    const remedy = `name another file, let \`tandem init\` write it, or write this one:\n\n${EXAMPLE.replace(/^/gm, '      ')}\n`;
    return refuse(file, 'there is no such file', remedy);
  }
  const imported = await importApart(file, deadlineMs);
  return imported.ok ? { ok: true, file, value: imported.value } : { ok: false, problem: imported.problem };
}

async function importApart(file: string, deadlineMs: number): Promise<Imported> {
  const child = fork(fileURLToPath(new URL('./import-main.ts', import.meta.url)), [file], {
    serialization: 'advanced',
    // The folder need not have a package.json, and output of the file goes to standard error.
    execArgv: ['--disable-warning=MODULE_TYPELESS_PACKAGE_JSON'],
    stdio: ['ignore', 2, 2, 'ipc'],
  });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = child.kill('SIGKILL');
  }, deadlineMs);
  try {
    return await reportOf(child, file, (code, signal) => (isLate ? tooLate(deadlineMs) : whyEnded(code, signal)));
  } finally {
    clearTimeout(timer);
    // A timer or a connection that the file opened would keep the process alive.
    child.kill('SIGKILL');
  }
}

type Why = [problem: string, remedy: string];

function reportOf(
  child: ChildProcess,
  file: string,
  why: (code: number | null, signal: string | null) => Why,
): Promise<Imported> {
  return new Promise((settle, reject) => {
    child.once('message', (imported: Imported) => settle(imported));
    child.once('error', reject);
    child.once('exit', (code, signal) => settle(refuse(file, ...why(code, signal))));
  });
}

function tooLate(deadlineMs: number): Why {
  const problem = `was not loaded after ${deadlineMs / 1000} s: it loops, or waits for something`;
  return [problem, 'let the file only build its settings, and wait for nothing'];
}

function whyEnded(code: number | null, signal: string | null): Why {
  if (code === EXIT_UNSETTLED) {
    return ['awaits a promise that never settles', 'let the file only build its settings, and wait for nothing'];
  }
  if (signal === 'SIGKILL' || signal === 'SIGABRT') {
    const problem = `was ended by ${signal} while it was loaded: most likely there was not enough memory`;
    return [problem, 'let the file only build its settings, or allow it more memory'];
  }
  const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
  const remedy = 'fix the error that it printed, or remove process.exit from the file and its imports';
  return [`ended the process while it was loaded (${how})`, remedy];
}

function refuse(file: string, problem: string, remedy: string) {
  return { ok: false as const, problem: { file, path: '', problem, remedy } };
}
