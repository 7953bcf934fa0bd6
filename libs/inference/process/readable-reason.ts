/**
 * Makes errors of ONNX Runtime readable. The model file chooses the names in them, and this code runs in a process that
 * serves other models. No escape sequence may reach a terminal, and no text may take long to process.
 */

/**
 * Matches a source file and function of ONNX Runtime, which callers do not need: `/…/x.cc:12 void a::b(int) `. It
 * begins with a word and all repetitions are bounded, since a name may consist of thousands of such beginnings.
 */
const SOURCE_PLACE =
  /(?<!\S)\S*\/onnxruntime\/\S{1,256}:\d{1,6} (?:[^()]{0,256}::[^()]{0,256}\([^()]{0,256}\)(?: const)?(?: \[with [^\]]{0,512}\])? )?/g;

/** The most characters that are read. After source locations are removed, at most `LONGEST` remain. */
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
