/**
 * Which releases of the ONNX format the runtime reads, said before it is asked: its own refusal of a model from the future
 * names neither the version nor what to do. (Field numbers from onnx.proto3, OperatorSetIdProto.)
 */
import { BYTES, type Field, readField, VARINT } from './protobuf.ts';

/** What is wrong with a model file, and what mends it. */
export interface ModelFault {
  readonly reason: string;
  readonly remedy: string | null;
}

/** Domains of operators that ONNX Runtime 1.30 has itself, and their latest version there. '' is ai.onnx. */
const LATEST: Readonly<Record<string, number>> = { '': 26, 'ai.onnx': 26, 'ai.onnx.ml': 5, 'com.microsoft': 1 };
const LATEST_IR = 13;

const DOMAIN = 1;
const VERSION = 2;

/** Whether a domain's operators come with ONNX Runtime, rather than from a library of somebody's. */
export function isKnownDomain(domain: string): boolean {
  return Object.hasOwn(LATEST, domain);
}

export function irFault(version: number): ModelFault | null {
  if (version <= LATEST_IR) return null;
  return {
    reason: `its format has IR version ${version}, and the newest that ONNX Runtime 1.30 reads is ${LATEST_IR}`,
    remedy: 'Export the model with the onnx package that you trained with, or an older one; the file may be damaged.',
  };
}

/** What is wrong with one entry of a model's opset imports, or null. Throws NotProtobuf. */
export function opsetFault(bytes: Buffer, entry: Pick<Field, 'start' | 'end'>): ModelFault | null {
  let domain = '';
  let version = 0;
  for (let at = entry.start; at < entry.end; ) {
    const field = readField(bytes, at, entry.end);
    at = field.end;
    if (field.number === DOMAIN && field.wire === BYTES)
      domain = bytes.toString('utf8', field.start, Math.min(field.end, field.start + 64));
    if (field.number === VERSION && field.wire === VARINT) version = field.value;
  }
  // A foreign domain matters only where an operator is of it, which the walk refuses by name.
  const latest = isKnownDomain(domain) ? (LATEST[domain] ?? 0) : Number.POSITIVE_INFINITY;
  if (version > 0 && version <= latest) return null;
  const range = latest === 1 ? '1' : Number.isFinite(latest) ? `1 to ${latest}` : '1 and later';
  return {
    reason: `it is written for opset ${version} of ${domain || 'ai.onnx'}, and ONNX Runtime 1.30 reads ${range}`,
    remedy: `Export it for an older opset: torch.onnx.export(…, opset_version=17), to_onnx(…, target_opset={'': 17, 'ai.onnx.ml': 3}).`,
  };
}
