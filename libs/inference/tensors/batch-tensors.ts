/**
 * Fills the inputs of requests from features, splits them into the rows of a run, and joins those of several requests.
 */

import { TandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { OutputTensor, OutputTensors } from '@tandem/freshness/outputs';
import type { ModelInput, TensorType } from '@tandem/freshness/predictor';
import { columnWidth } from '@tandem/prediction/models/input-fit';
import { RowsRefused } from '@tandem/prediction/scoring/scoring';
import type { TensorData, WireTensor } from '../process/protocol.ts';
import { type FilledColumn, fillTensor } from './fill-tensor.ts';
import { fromHalfBits } from './half-precision.ts';

/** A filled input of a request. Its rows are split into runs later. */
export interface EncodedInput {
  readonly name: string;
  readonly type: TensorType;
  /** The number of values in a row. */
  readonly width: number;
  /** 1 for a tensor [users] instead of [users, width]. */
  readonly rank?: 1;
  readonly data: TensorData;
}

/**
 * Returns the inputs of a model for the given rows of a batch. Throws `RowsRefused` with column, user and value of
 * every row that does not fit. Twelve float columns of 5,000 rows take about half a millisecond.
 */
export function encodeInputs(
  inputs: readonly ModelInput[],
  batch: FeatureBatch,
  rows: readonly number[],
): EncodedInput[] {
  const refused = new Map<number, string>();
  const unusable = new Map<number, string[]>();
  const encoded = inputs.map(({ name, type, columns, rank }): EncodedInput => {
    const filled = columns.map((column) => columnOf(batch, column));
    const width = filled.reduce((sum, { column }) => sum + columnWidth(column), 0);
    const data = fillTensor(type, width, filled, rows, (column, row) => {
      if (!refused.has(row)) refused.set(row, refusal(batch, column, row, type));
      unusable.set(row, [...(unusable.get(row) ?? []), column.column.name]);
    });
    return rank === undefined ? { name, type, width, data } : { name, type, width, rank, data };
  });
  if (refused.size > 0) throw new RowsRefused('features_unusable', refused, { unusable });
  return encoded;
}

/** Returns the rows `start` to `start + count` of inputs that `encodeInputs` filled. */
export function cutInputs(inputs: readonly EncodedInput[], start: number, count: number): EncodedInput[] {
  return inputs.map((input) => ({
    ...input,
    data: cut(input.data, start * input.width, (start + count) * input.width),
  }));
}

/** Returns the rows of several requests of one model version, one after the other. */
export function joinInputs(several: readonly (readonly EncodedInput[])[], rows: number): WireTensor[] {
  const [first = []] = several;
  return first.map(({ name, type, width, rank }, i) => ({
    name,
    type,
    dims: rank === 1 ? [rows] : [rows, width],
    data: joinData(several.map((inputs) => inputs[i]?.data ?? [])),
  }));
}

/** Returns a part of a tensor's values. A typed array shares the memory of the whole. */
function cut(data: TensorData, start: number, end: number): TensorData {
  return Array.isArray(data) ? data.slice(start, end) : (data as Float32Array).subarray(start, end);
}

/** Returns the values of several tensors of one element type. */
function joinData(several: readonly TensorData[]): TensorData {
  const [first] = several;
  if (first === undefined || several.length === 1) return first ?? [];
  if (Array.isArray(first)) return several.flatMap((texts) => texts as readonly string[]);
  const arrays = several as readonly Float32Array[];
  const whole = new (first.constructor as Float32ArrayConstructor)(
    arrays.reduce((sum, array) => sum + array.length, 0),
  );
  let at = 0;
  for (const array of arrays) {
    whole.set(array, at);
    at += array.length;
  }
  return whole;
}

function columnOf(batch: FeatureBatch, name: string): FilledColumn {
  const at = batch.columns.findIndex((column) => column.name === name);
  const [column, values] = [batch.columns[at], batch.values[at]];
  if (column && values) return { column, values };
  throw new TandemError('live_failed', `the features have no column ${name}, which the model takes`);
}

function refusal(batch: FeatureBatch, { column, values }: FilledColumn, row: number, type: TensorType): string {
  const { name, categories } = column;
  const value = values[row] ?? null;
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 64)) : String(value);
  const userId = batch.userIds[row];
  // Rows that a caller sends to a model belong to no user.
  const which = `feature ${name}${userId ? ` of user ${userId}` : ''} is ${shown}`;
  if (!categories || typeof value === 'number') return `${which}, which an input of type ${type} cannot hold`;
  const known = categories.values.slice(0, 8).map((text) => JSON.stringify(text));
  const list = `${known.join(', ')}${known.length < categories.values.length ? ', …' : ''}`;
  const counts = categories.encoding === 'index' ? "a number or 'nan'" : "'zeros'";
  return `${which}, which is not one of its categories (${list}); set the value of an unknown text (features.categories.${name}: unknown: ${counts}), or return a category from the feature query`;
}

// Splits the output tensors of a run into those of its requests. The first dimension is the users. If a model returns
// another number of rows than it got, no user has an answer, since rows and users cannot be matched.

/** Throws `live_failed` if a tensor does not have a row for each user of the run. */
export function checkRows(outputs: readonly WireTensor[], users: number): void {
  for (const { name, dims } of outputs) {
    const [rows] = dims;
    if (rows === users) continue;
    const text =
      rows === undefined
        ? `the model gave one value without rows in output ${name} for ${counted(users)}`
        : `the model gave ${rows} rows of output ${name} for ${counted(users)}`;
    throw new TandemError('live_failed', text);
  }
}

/**
 * Returns tensors by name. Tensors [N], [N,1], [N,k] or with more dimensions become N rows of their width, and float16
 * becomes numbers. Throws as `checkRows` does.
 */
export function readOutputs(outputs: readonly WireTensor[], users: number): OutputTensors {
  checkRows(outputs, users);
  return Object.fromEntries(
    outputs.map(({ name, type, dims, data }): [string, OutputTensor] => [
      name,
      { data: type === 'float16' ? Float32Array.from(data as Uint16Array, fromHalfBits) : data, width: widthOf(dims) },
    ]),
  );
}

/** Returns the rows `start` to `start + count` of the tensors. */
export function cutOutputs(outputs: readonly WireTensor[], start: number, count: number): readonly WireTensor[] {
  if (outputs.every(({ dims }) => dims[0] === count)) return outputs;
  return outputs.map((tensor) => {
    const width = widthOf(tensor.dims);
    const data = cut(tensor.data, start * width, (start + count) * width);
    return { ...tensor, dims: [count, ...tensor.dims.slice(1)], data };
  });
}

/** Joins the tensors of a request that was split into several runs, in order. */
export function joinOutputs(several: readonly (readonly WireTensor[])[]): readonly WireTensor[] {
  const [first] = several;
  if (first === undefined || several.length === 1) return first ?? [];
  return first.map((tensor, i) => {
    const parts = several.flatMap((tensors) => tensors[i] ?? []);
    const rowShape = tensor.dims.slice(1);
    if (parts.some(({ dims }) => dims.slice(1).join() !== rowShape.join())) {
      const text = `the model gave output ${tensor.name} in different widths for rows of one request`;
      throw new TandemError('live_failed', text);
    }
    const rows = parts.reduce((sum, { dims }) => sum + (dims[0] ?? 0), 0);
    return { ...tensor, dims: [rows, ...rowShape], data: joinData(parts.map(({ data }) => data)) };
  });
}

/** Returns the number of values in a row. */
function widthOf(dims: readonly number[]): number {
  return dims.slice(1).reduce((product, size) => product * size, 1);
}

function counted(users: number): string {
  return users === 1 ? '1 user' : `${users} users`;
}
