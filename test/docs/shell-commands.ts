/** Splits shell code of a page into commands and words. It knows as much of sh as the blocks of the docs need. */

const HEREDOC = /<<-?\s*(['"]?)(\w+)\1([^\n]*)\n[\s\S]*?^\2$/gm;

/** Returns the commands of a block as lists of words, without quotation marks, leading assignments and redirections. */
export function commandsIn(code: string): string[][] {
  const plain = code.replaceAll(/\\\n\s*/g, ' ').replaceAll(HEREDOC, '$3');
  const commands: string[][] = [];
  let words: string[] = [];
  let rest = plain;
  const end = () => {
    if (words.length > 0) commands.push(words);
    words = [];
  };
  while (rest !== '') {
    const blank = /^[ \t]+/.exec(rest)?.[0] ?? '';
    rest = rest.slice(blank.length);
    const separator = /^(\n|;|&&|\|\||\||&|#[^\n]*)/.exec(rest)?.[0];
    if (separator !== undefined) {
      end();
      rest = rest.slice(separator.length);
      continue;
    }
    const word = readWord(rest);
    rest = rest.slice(word.length);
    words.push(word.text);
  }
  end();
  return commands
    .map(withoutRedirections)
    .map(withoutAssignments)
    .filter(({ length }) => length > 0);
}

interface Word {
  /** The word as the program gets it. Substitutions are not expanded. */
  readonly text: string;
  /** The number of characters in the code. */
  readonly length: number;
}

const PIECE =
  /^(?:'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|(\$\((?:[^()]|\([^()]*\))*\))|(<[a-z][^<>\n]*>)|\\(.)|([^\s;&|'"\\]))/;

function readWord(code: string): Word {
  let text = '';
  let length = 0;
  for (;;) {
    const piece = PIECE.exec(code.slice(length));
    if (piece === null) return { text, length: Math.max(length, 1) };
    const [whole, single, double, substitution, placeholder, escaped, plain] = piece;
    text += single ?? double?.replaceAll(/\\(["\\$`])/g, '$1') ?? substitution ?? placeholder ?? escaped ?? plain ?? '';
    length += whole.length;
  }
}

function withoutRedirections(words: readonly string[]): string[] {
  return words.filter((word, i) => !/^\d?[<>]/.test(word) && !/^\d?[<>]{1,2}$/.test(words[i - 1] ?? ''));
}

function withoutAssignments(words: readonly string[]): string[] {
  const first = words.findIndex((word) => !/^[A-Z_]+=/.test(word));
  return first < 0 ? [] : words.slice(words[first] === 'export' ? words.length : first);
}

/** Returns the arguments of a `tandem` command, or null for another command. */
export function tandemArguments(words: readonly string[]): readonly string[] | null {
  if (words[0] === 'tandem') return words.slice(1);
  if (words[0] === 'npx' && words[1] === 'tandem') return words.slice(2);
  if (words[0] === 'node' && words[1] === 'apps/cli/main.ts') return words.slice(2);
  const entry = words.findIndex((word) => word.endsWith('/entrypoint.sh'));
  if (words[0] === 'kubectl' && entry > 0) return words.slice(entry + 1);
  // The service `migrate` of docker-compose.yml can run any command of the image, also `adopt`.
  const service = words.findIndex((word) => word === 'migrate' || word === 'adopt');
  const isRun = words.slice(0, 3).join(' ') === 'docker compose run';
  return isRun && service > 0 && words.length > service + 1 ? words.slice(service + 1) : null;
}

/** Returns path (without query) and method of a curl request to the API, or null for another command or server. */
export function curlRequest(words: readonly string[]): { readonly method: string; readonly path: string } | null {
  if (words[0] !== 'curl') return null;
  const url = words.map((word) => /^(?:https?:\/\/)?[\w.]+:8080(\/[^?]*)?/.exec(word)).find((found) => found !== null);
  if (url === undefined || url === null) return null;
  const named = words[words.findIndex((word) => word === '-X' || word === '--request') + 1];
  const hasMethod = words.some((word) => word === '-X' || word === '--request');
  const hasBody = words.some((word) => /^(-d|--data\S*|--json|-T)$/.test(word));
  return { method: hasMethod && named !== undefined ? named : hasBody ? 'POST' : 'GET', path: url[1] ?? '/' };
}
