/**
 * ONNX Runtime's refusals as people should read them. The names in them are the model file's to choose, and the text is
 * made in a process that serves others: no escape sequence may reach a terminal, and no text may take long to read.
 */

/**
 * ONNX Runtime's own source file and function, of no use to a caller: `/…/x.cc:12 void a::b(int) `. It begins with a
 * word and has bounds everywhere, since a name may consist of thousands of such beginnings.
 */
const SOURCE_PLACE =
  /(?<!\S)\S*\/onnxruntime\/\S{1,256}:\d{1,6} (?:[^()]{0,256}::[^()]{0,256}\([^()]{0,256}\)(?: const)?(?: \[with [^\]]{0,512}\])? )?/g;

/** The most characters that are read; after source locations are removed, at most `LONGEST` remain. */
const LONGEST_READ = 2_000;
const LONGEST = 400;

export function readableReason(reason: string): string {
  return reason
    .slice(0, LONGEST_READ)
    .replaceAll(SOURCE_PLACE, '')
    .replaceAll('std::bad_alloc', 'failed to allocate memory')
    .replaceAll(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, LONGEST);
}
