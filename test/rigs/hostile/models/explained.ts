/**
 * Expected parts of the rejections of some models, by the model's name: of the sentence and of the remedy.
 */
export const EXPLAINED: Readonly<Record<string, readonly [says: string, remedy: string]>> = {
  'an unknown operator': ['No Op registered for NoSuchOperator', 'operators that ONNX Runtime'],
  'a tensor that no node produces': ["'ghost' is not a graph input", 'onnx.checker'],
  'a tree that points to itself': ['cannot point to itself', 'Export it again'],
  'a tree with two splits that point to each other': ['the model', 'Export it again'],
  'a name with a terminal escape sequence': ['begins with "\\u001b[2J"', 'control characters'],
  'no inputs': ['takes no inputs, so every user would get the same answer', 'Export the model again'],
  'no outputs': ['gives no outputs', 'Export the model again'],
  'four thousand inputs': ['4096 inputs and 1 outputs', 'one matrix of features'],
  'a second input': ['balance', 'balance'],
  'a score of texts': ['is declared float32', "'string'"],
  'a sequence': ['a sequence of maps, or of tensors', 'zipmap'],
  'one answer for all': ['gave one value without rows in output score', 'one finite answer'],
  'one row more than users': ['gave 2 rows of output score for 1 user', 'one finite answer'],
  'rows in reverse': ['depends on the other users', 'rowByRow: true'],
  'a scale computed over the batch': ['depends on the other users', 'rowByRow: true in predictors.toy'],
  'random answers': ["the model's answers are random", 'model.eval()'],
  'random answers with a fixed seed': ["the model's answers are random", 'model.eval()'],
  'NaN for every user': ['for every user: output score is NaN', 'one finite answer'],
  'infinity for every user': ['output score is Infinity', 'one finite answer'],
  'a split by a missing feature': ['requests feature 100000000', 'in Python'],
  'a loop without a limit': ['no answer within 200 ms', 'loop without a bound'],
  '50 GB at once': ['allocate memory', 'smaller or simpler'],
  '300 MB at once, which the system allows': ['took more than 256 MB of memory', 'INFERENCE_MEMORY_MB'],
  'memory that grows without limit': ['memory', 'smaller or simpler'],
};
