import { expect, it } from 'vitest';
import { readableReason } from './readable-reason.ts';

it('removes the source file and function of the runtime', () => {
  const place =
    '/onnxruntime_src/onnxruntime/core/graph/graph.cc:1555 void onnxruntime::Graph::Init(const Proto&) const ';
  expect(readableReason(`${place}This is an invalid model.`)).toBe('This is an invalid model.');
  expect(readableReason(`Status Message: ${place}[with T = float] no`)).toBe('Status Message: no');
  expect(readableReason('/a/onnxruntime/b.cc:7 indices element out of bounds')).toBe('indices element out of bounds');
});

it('returns one short line without terminal control characters', () => {
  expect(readableReason("node '\u001b[2J\n'")).toBe("node ' [2J '");
  expect(readableReason('x'.repeat(10_000))).toHaveLength(400);
});

it('names a lack of memory', () => {
  expect(readableReason('Status Message: std::bad_alloc')).toBe('Status Message: failed to allocate memory');
});

it('ends in time for a long name of many beginnings of source locations', () => {
  for (const name of ['/onnxruntime/', '/onnxruntime/:1', '/onnxruntime/a:1 ', '/onnxruntime/a:1 ::', 'a::b(']) {
    expect(readableReason(name.repeat(20_000)).length).toBeLessThanOrEqual(400);
  }
});
