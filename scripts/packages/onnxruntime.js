/** ONNX Runtime of this platform: the optional dependency that npm chose by operating system and processor. */
import { createRequire } from 'node:module';

const name = `@tandem/onnxruntime-${process.platform}-${process.arch}`;

function load() {
  try {
    return createRequire(import.meta.url)(name);
  } catch (cause) {
    const remedy =
      'It exists for Linux with glibc (x64, arm64) and macOS (arm64); npm leaves it out with --omit=optional.';
    throw new Error(`ONNX Runtime cannot be loaded from ${name}: ${cause.message}. ${remedy}`, { cause });
  }
}

export const { InferenceSession, Tensor } = load();
