/** A child that runs a model on each row it is sent, and answers with the score: the least that inference in a child takes. */
import { InferenceSession, Tensor } from 'onnxruntime-node';

const session = await InferenceSession.create(process.argv[2] ?? '', { intraOpNumThreads: 1, interOpNumThreads: 1 });

process.on('message', async (values: Float32Array) => {
  const { score } = await session.run({ features: new Tensor('float32', values, [1, values.length]) }, ['score']);
  process.send?.(Number(score?.data[0]));
});
