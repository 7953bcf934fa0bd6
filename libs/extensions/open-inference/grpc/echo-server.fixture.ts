/**
 * The cost of gRPC itself: the product's own server with a service that reads the message of a request and answers with
 * a tensor made at the start. It has no key, no checks and no model. Prints its port. Usage: node echo-server.fixture.ts
 * <rows>
 */
import { startGrpcServer } from './grpc-server.ts';

const rows = Number(process.argv[2]);
const response = {
  ...{ model_name: 'fast', model_version: '1', id: '', parameters: {} },
  outputs: [{ name: 'score', datatype: 'FP32', shape: [rows, 1] }],
  raw_output_contents: [Buffer.alloc(4 * rows)],
};
const { port } = await startGrpcServer({
  ...{ host: '127.0.0.1', port: 0, connections: 256, mostBytes: 1_048_576, mostAnswerBytes: 1_048_576 },
  async serve(_rpc, _call, message) {
    await message();
    return { response };
  },
});
console.log(port);
