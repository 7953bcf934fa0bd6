/**
 * Output tensors of a run, back to the requests whose rows were in it. The first dimension is the users: a model that
 * gives another number of rows than it was given has no answer for anybody, since nobody knows whose rows they are.
 */
import { TandemError } from '@tandem/freshness/errors';
import type { OutputTensor, OutputTensors } from '@tandem/freshness/outputs';
import type { TensorData, WireTensor } from '../process/protocol.ts';
import { fromHalfBits } from './half-precision.ts';
import { cut, joinData } from './input-tensors.ts';

/**
 * Output tensors by name, [N], [N,1], [N,k] or deeper as N rows of their width; float16 as numbers. Throws
 * `live_failed` where the rows are not those asked for.
 */
export function readOutputs(outputs: readonly WireTensor[], users: number): OutputTensors {
  return Object.fromEntries(outputs.map((tensor) => [tensor.name, readOutput(tensor, users)]));
}

/** Rows `start` to `start + count` of the tensors. */
export function cutOutputs(tensors: OutputTensors, start: number, count: number): OutputTensors {
  const parts = Object.entries(tensors).map(([name, { data, width }]): [string, OutputTensor] => [
    name,
    { data: cut(data as TensorData, start * width, (start + count) * width), width },
  ]);
  return Object.fromEntries(parts);
}

/** The tensors of a request that was cut into several runs, in order. */
export function joinOutputs(several: readonly OutputTensors[]): OutputTensors {
  const [first] = several;
  if (first === undefined || several.length === 1) return first ?? {};
  const whole = Object.entries(first).map(([name, { width }]): [string, OutputTensor] => {
    const parts = several.map((tensors) => tensors[name]);
    if (parts.some((part) => part?.width !== width)) {
      throw new TandemError('live_failed', `the model gave output ${name} in different widths for rows of one request`);
    }
    return [name, { data: joinData(parts.map((part) => part?.data as TensorData)), width }];
  });
  return Object.fromEntries(whole);
}

function readOutput({ name, type, dims, data }: WireTensor, users: number): OutputTensor {
  const [rows, ...rest] = dims;
  if (rows === undefined) {
    throw new TandemError(
      'live_failed',
      `the model gave one value of output ${name}, of no row, for ${counted(users)}`,
    );
  }
  if (rows !== users) {
    throw new TandemError('live_failed', `the model gave ${rows} rows of output ${name} for ${counted(users)}`);
  }
  const width = rest.reduce((product, size) => product * size, 1);
  return { data: type === 'float16' ? decodeHalves(data as Uint16Array) : data, width };
}

function counted(users: number): string {
  return users === 1 ? '1 user' : `${users} users`;
}

function decodeHalves(bits: Uint16Array): Float32Array {
  return Float32Array.from(bits, fromHalfBits);
}
