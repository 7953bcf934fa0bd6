/** Judges a predictor's declared default: it must be a prediction that the model could have given. */
import type { TensorType } from '@tandem/freshness/predictor';
import { shown } from './check-form.ts';
import type { SettingProblem } from '../config-problem.ts';
import type { ParsedOutputs } from './config-schema.ts';

/** @param path of the setting, `predictors.repurchase.freshness.default` */
export function defaultProblems(
  values: Readonly<Record<string, unknown>>,
  outputs: ParsedOutputs,
  path: string,
): SettingProblem[] {
  const missing = Object.keys(outputs).filter((field) => !Object.hasOwn(values, field));
  const extra = Object.keys(values).filter((field) => !Object.hasOwn(outputs, field));
  return [
    ...missing.map((field) => ({
      path: `${path}.${field}`,
      problem: 'is missing, and the predictor has this output',
      remedy: `add a value for ${field}`,
    })),
    ...extra.map((field) => ({
      path: `${path}.${field}`,
      problem: 'is no output of this predictor',
      remedy: `remove it; the outputs are ${Object.keys(outputs).join(', ')}`,
    })),
    ...Object.entries(outputs).flatMap(([field, output]) =>
      Object.hasOwn(values, field) ? valueProblems(values[field], output, `${path}.${field}`) : [],
    ),
  ];
}

function valueProblems(value: unknown, output: ParsedOutputs[string], path: string): SettingProblem[] {
  const type = typeof output === 'string' ? output : output.type;
  const width = typeof output === 'string' ? undefined : output.width;
  if (width === undefined) return scalarProblems(value, type, path);
  if (!Array.isArray(value) || value.length !== width) {
    const was = Array.isArray(value) ? `an array of ${value.length}` : shown(value);
    return [{ path, problem: `is ${was}, not an array of ${width}`, remedy: `write an array of ${width} values` }];
  }
  return value.flatMap((one: unknown, i) => scalarProblems(one, type, `${path}[${i}]`));
}

function scalarProblems(value: unknown, type: TensorType, path: string): SettingProblem[] {
  const expected = expectation(value, type);
  if (expected === null) return [];
  return [{ path, problem: `is ${shown(value)}, and the output is of type ${type}`, remedy: `write ${expected}` }];
}

const INTEGER_BITS: Partial<Record<TensorType, { bits: number; signed: boolean }>> = {
  int8: { bits: 8, signed: true },
  int16: { bits: 16, signed: true },
  int32: { bits: 32, signed: true },
  // Beyond 2^53 a number in a config is not the integer that was written.
  int64: { bits: 54, signed: true },
  uint8: { bits: 8, signed: false },
  uint16: { bits: 16, signed: false },
  uint32: { bits: 32, signed: false },
  uint64: { bits: 53, signed: false },
};

/** What should have been written instead, or null where the value is right. */
function expectation(value: unknown, type: TensorType): string | null {
  if (type === 'string') return typeof value === 'string' ? null : 'a text in quotes';
  if (type === 'bool') return typeof value === 'boolean' ? null : 'true or false';
  const integer = INTEGER_BITS[type];
  if (integer) {
    const least = integer.signed ? -(2 ** (integer.bits - 1)) : 0;
    const most = (integer.signed ? 2 ** (integer.bits - 1) : 2 ** integer.bits) - 1;
    const fits = Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
    return fits ? null : `a whole number from ${least} to ${most}`;
  }
  const finite = typeof value === 'number' && Number.isFinite(type === 'float64' ? value : Math.fround(value));
  return finite ? null : `a finite number that a ${type} can hold`;
}
