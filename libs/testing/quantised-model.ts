/** The int8 version of `linearModel`, as made by the dynamic quantisation of onnxruntime. */
import { ELEMENT, FLOAT, floats, node, raw } from './onnx-writer.ts';
import { scoreModel } from './score-model.ts';

const INT8_MOST = 127;

/**
 * Returns the model. All rows of a run share the scale of the features, so a user's answer depends on the other users
 * in its batch.
 */
export function dynamicInt8Model({ weights }: { readonly weights: readonly number[] }): Buffer {
  const scale = Math.max(...weights.map(Math.abs)) / INT8_MOST;
  const whole = Int8Array.from(weights, (weight) => Math.round(weight / scale));
  const nodes = [
    node('DynamicQuantizeLinear', ['features'], ['whole', 'scale', 'zero']),
    node('MatMulInteger', ['whole', 'w', 'zero'], ['sum']),
    node('Cast', ['sum'], ['product'], { to: FLOAT }),
    node('Mul', ['scale', 'weight_scale'], ['scales']),
    node('Mul', ['product', 'scales'], ['z']),
    node('Sigmoid', ['z'], ['score']),
  ];
  const constants = [
    raw('w', ELEMENT.int8 ?? 0, [weights.length, 1], Buffer.from(whole.buffer)),
    floats('weight_scale', [], [scale]),
  ];
  return scoreModel(weights.length, nodes, constants);
}
