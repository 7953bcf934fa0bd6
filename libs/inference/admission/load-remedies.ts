/** What to do about a model that ONNX Runtime will not load, by the words of its refusal. */

const REMEDIES: readonly (readonly [words: RegExp, remedy: string])[] = [
  [
    /No Op registered for|is not a registered function\/op/,
    'Export it with operators that ONNX Runtime 1.30 has in that opset (onnxruntime.ai/docs/reference/operators); a newer opset may have this one.',
  ],
  [
    /Could not find an implementation|NOT_IMPLEMENTED|Unsupported data type/,
    'ONNX Runtime has no such operator for these types on a CPU: export the model in float32, for opset 17.',
  ],
  [
    /allocate memory|bad_alloc/,
    'Export a smaller model, or raise INFERENCE_MEMORY_MB for all processes that serve it.',
  ],
];

/** @param reason in ONNX Runtime's words */
export function remedyFor(reason: string): string {
  const known = REMEDIES.find(([words]) => words.test(reason));
  return (
    known?.[1] ??
    'Its graph is damaged or was put together wrongly: onnx.checker.check_model in Python says where. Export it again.'
  );
}
