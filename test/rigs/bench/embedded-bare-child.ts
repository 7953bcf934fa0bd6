/**
 * A child process that runs a model on each row that it receives, and answers with the score: the least cost of
 * inference in a child.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';

const session = await InferenceSession.create(process.argv[2] ?? '', { intraOpNumThreads: 1, interOpNumThreads: 1 });

process.on('message', async (values: Float32Array) => {
  const { score } = await session.run({ features: new Tensor('float32', values, [1, values.length]) }, ['score']);
  process.send?.(Number(score?.data[0]));
});
