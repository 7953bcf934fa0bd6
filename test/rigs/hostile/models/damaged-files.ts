/** Files that are damaged or are not models. */
import { gzipSync } from 'node:zlib';
import { field, message } from '@tandem/testing/onnx-writer';
import { type ModelCase, refused, soundModel } from './model-case.ts';
import { noise, placeOf, replaceByte, resize, truncate } from './mutations.ts';

const GRAPH = 7;
const good = soundModel();
const { start, content } = placeOf(good, GRAPH);
const bad = (name: string, says: string, bytes: () => Buffer) => refused('bytes', name, says, bytes);
const text = (what: string) => () => Buffer.from(what, 'latin1');

export const DAMAGED: readonly ModelCase[] = [
  bad('nothing', 'the file is empty', () => Buffer.alloc(0)),
  bad('one byte', 'ends in the middle', () => truncate(good, 1)),
  bad('cut after the IR version', 'it has no graph', () => truncate(good, 2)),
  bad('cut within a text', 'ends in the middle', () => truncate(good, 5)),
  bad('cut before the graph', 'it has no graph', () => truncate(good, start)),
  bad('cut after the tag of the graph', 'ends in the middle', () => truncate(good, start + 1)),
  bad('cut within the length of the graph', 'ends in the middle', () => truncate(good, content - 1)),
  bad('cut at the first byte of the graph', 'ends in the middle', () => truncate(good, content)),
  bad('cut in the middle', 'ends in the middle', () => truncate(good, good.length >> 1)),
  bad('cut by one byte', 'ends in the middle', () => truncate(good, -1)),
  bad('a graph that declares one byte too many', 'ends in the middle', () =>
    resize(good, GRAPH, varint(good.length - content + 1)),
  ),
  bad('a graph that declares one byte too few', 'ends in the middle', () =>
    resize(good, GRAPH, varint(good.length - content - 1)),
  ),
  bad('a graph of 2 GiB', 'ends in the middle', () => resize(good, GRAPH, [0xff, 0xff, 0xff, 0xff, 0x07])),
  bad('a graph of 3 GB', 'ends in the middle', () => resize(good, GRAPH, varint(3_000_000_000))),
  bad('a graph of 2^63 bytes', 'ends in the middle', () => resize(good, GRAPH, [...Array(9).fill(0xff), 0x01])),
  bad('a length that never ends', 'ends in the middle', () => resize(good, GRAPH, Array(11).fill(0xff))),
  bad('a graph that is a number', 'field 7 of a model is not a message', () =>
    Buffer.concat([truncate(good, start), field(7, 5)]),
  ),
  bad('field 0', 'not protobuf', () => Buffer.concat([good, Buffer.from([0x02, 0x00])])),
  bad('a field of the wire type for groups', 'not protobuf', () => replaceByte(good, 0, 0x0b)),
  bad('a field of an unknown wire type', 'not protobuf', () => replaceByte(good, 0, 0x0f)),
  bad('two graphs', 'one model has field 7 twice', () => Buffer.concat([good, message(GRAPH, [])])),
  bad('zeros', 'not protobuf', () => Buffer.alloc(4_096)),
  bad('ones', 'ends in the middle', () => Buffer.alloc(4_096, 0xff)),
  bad('noise', 'not protobuf', () => noise(4_096, 1)),
  bad('a megabyte of noise', 'not protobuf', () => noise(1_048_576, 2)),
  bad('a sound model after a byte order mark', 'not protobuf', () =>
    Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), good]),
  ),
  bad('a sound model, packed with gzip', 'gzip file; decompress it', () => gzipSync(good)),
  bad('a zip archive', 'a zip archive', text('PK\x03\x04\x14\x00model.onnx')),
  bad(
    'a pickle',
    'a Python pickle, which is never read',
    text('\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x01a.'),
  ),
  bad('a pickle of protocol 2', 'a Python pickle', text('\x80\x02X\x01\x00\x00\x00aq\x00.')),
  bad('a web page', 'a web page', text('<html><head><title>403 Forbidden</title></head></html>')),
  bad('XML', 'a web page', text('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>')),
  bad('JSON', 'it is JSON', text('{"error":"not found"}')),
  bad('a Git LFS pointer', 'git lfs pull', text('version https://git-lfs.github.com/spec/v1\noid sha256:0\n')),
  bad('HDF5', 'an HDF5 file', text('\x89HDF\r\n\x1a\n')),
  bad('TensorFlow Lite', 'TensorFlow Lite', text('\x1c\x00\x00\x00TFL3')),
  bad("ONNX Runtime's own format", "ONNX Runtime's own format", text('\x10\x00\x00\x00ORTM')),
  bad('an executable program', 'not protobuf', text('\x7fELF\x02\x01\x01\x00')),
  bad('a line of text', 'not protobuf', text('features,score\n1,2\n')),
];

function varint(length: number): number[] {
  const bytes: number[] = [];
  for (let left = length; ; left = Math.floor(left / 128)) {
    if (left < 128) return [...bytes, left];
    bytes.push((left % 128) + 128);
  }
}
