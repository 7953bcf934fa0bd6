import { expect, it } from 'vitest';
import { readableReason } from './readable-reason.ts';

it("leaves out the runtime's own source file and function", () => {
  const place =
    '/onnxruntime_src/onnxruntime/core/graph/graph.cc:1555 void onnxruntime::Graph::Init(const Proto&) const ';
  expect(readableReason(`${place}This is an invalid model.`)).toBe('This is an invalid model.');
  expect(readableReason(`Status Message: ${place}[with T = float] no`)).toBe('Status Message: no');
  expect(readableReason('/a/onnxruntime/b.cc:7 indices element out of bounds')).toBe('indices element out of bounds');
});

it('keeps to one short line that no terminal obeys', () => {
  expect(readableReason("node '\u001b[2J\n'")).toBe("node ' [2J '");
  expect(readableReason('x'.repeat(10_000))).toHaveLength(400);
});

it('says in words that there is no memory', () => {
  expect(readableReason('Status Message: std::bad_alloc')).toBe('Status Message: failed to allocate memory');
});

it('ends over a long name made of beginnings of source places', () => {
  for (const name of ['/onnxruntime/', '/onnxruntime/:1', '/onnxruntime/a:1 ', '/onnxruntime/a:1 ::', 'a::b(']) {
    expect(readableReason(name.repeat(20_000)).length).toBeLessThanOrEqual(400);
  }
});
