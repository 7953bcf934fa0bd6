import { linearModel } from '@tandem/testing/onnx-models';
import { describe, expect, it } from 'vitest';
import { matrixPredictor } from './toy-predictor.fixture.ts';
import { type Part, WaitingLine } from './waiting-line.ts';

const a = matrixPredictor(linearModel({ weights: [1] }), 1).version;
const b = matrixPredictor(linearModel({ weights: [2] }), 1).version;
const part = (request: string, version = a, rows = 1, outputs = ['score']): Part<string> => ({
  request,
  version,
  start: 0,
  rows,
  costMs: 0,
  inputs: [],
  outputs,
  isAlone: false,
  failedRuns: 0,
  waiting: false,
});
const names = (parts: readonly Part<string>[]) => parts.map(({ request }) => request);

describe('a waiting line', () => {
  it('separates requests for different outputs of the same version', () => {
    const line = new WaitingLine<string>();
    for (const each of [part('1'), part('2', a, 1, ['score', 'label']), part('3', a, 1, ['score'])]) line.add(each);
    expect(names(line.take(256))).toEqual(['1', '3']);
    expect(names(line.take(256))).toEqual(['2']);
  });

  it('returns the parts that wait for the version of the first, in order, and keeps the rest', () => {
    const line = new WaitingLine<string>();
    for (const each of [part('1'), part('2', b), part('3'), part('4', b)]) line.add(each);
    expect(names(line.take(256))).toEqual(['1', '3']);
    expect(names(line.take(256))).toEqual(['2', '4']);
    expect(names(line.take(256))).toEqual([]);
    expect(line.rows()).toBe(0);
  });

  it('fills a run up to its limit of rows, and returns a larger part alone', () => {
    const line = new WaitingLine<string>();
    for (const each of [part('big', a, 300), part('1', a, 200), part('2', a, 100), part('3', a, 56)]) line.add(each);
    expect(names(line.take(256))).toEqual(['big']);
    expect(names(line.take(256))).toEqual(['1', '3']);
    expect(line.rows()).toBe(100);
  });

  it('returns parts to retry first, each alone', () => {
    const line = new WaitingLine<string>();
    line.add(part('innocent'));
    line.retryAlone(part('r1'));
    line.retryAlone(part('r2'));
    expect([line.first()?.request, names(line.take(256)), names(line.take(256)), names(line.take(256))]).toEqual([
      'r1',
      ['r1'],
      ['r2'],
      ['innocent'],
    ]);
  });

  it('forgets removed requests', () => {
    const line = new WaitingLine<string>();
    const gone = part('gone', a, 7);
    line.add(gone);
    line.remove(gone);
    line.remove(gone);
    expect([line.rows(), line.first()]).toEqual([0, undefined]);
  });
});
