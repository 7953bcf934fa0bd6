/**
 * Checks deploy/alerts.yml as far as possible without Prometheus: the layout of the file, and in each expression
 * brackets, functions, selectors and words. Throws if the file differs.
 */
export interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly summary: string;
  readonly page: string;
}

export interface Selector {
  readonly series: string;
  readonly matchers: readonly { readonly label: string; readonly values: readonly string[] }[];
}

const RULE =
  /^ {6}- alert: (?<alert>Tandem[A-Za-z]+)\n {8}expr: (?<expr>.+)\n(?: {8}for: \d+[smh]\n)? {8}labels: \{ severity: (?:warning|critical) \}\n {8}annotations:\s+\{\s+summary: "(?<summary>[^"\\]+)",\s+page: "(?<page>[^"\\]+)",?\s+\}\n/;
const HEAD = /^(?:#.*\n)*groups:\n/;
const GROUP = /^ {2}- name: tandem-[a-z]+\n {4}rules:\n/;

export function readRules(file: string): readonly Rule[] {
  const rules: Rule[] = [];
  let rest = take(HEAD, file).rest;
  while (rest !== '') {
    if (GROUP.test(rest)) rest = take(GROUP, rest).rest;
    const { groups, rest: behind } = take(RULE, rest);
    const { alert = '', expr = '', summary = '', page = '' } = groups;
    // These characters end a plain YAML scalar or begin a comment.
    if (/: | #/.test(expr) || /^[[{"'&*!|>%@`]/.test(expr))
      throw new Error(`${alert}: YAML does not read the expression as one plain scalar`);
    rules.push({ alert, expr, summary, page });
    rest = behind;
  }
  return rules;
}

function take(form: RegExp, text: string) {
  const found = form.exec(text);
  if (!found) throw new Error(`not the layout of the file: ${text.split('\n').slice(0, 4).join(' ⏎ ')}`);
  return { groups: found.groups ?? {}, rest: text.slice(found[0].length) };
}

const FUNCTIONS = new Set(
  'absent avg_over_time histogram_quantile increase max max_over_time min min_over_time rate sum'.split(' '),
);
const KEYWORDS = new Set('and or unless by ignoring on group_left offset'.split(' '));

/** The series that an expression asks for. Throws where brackets or quotes are not in order. */
export function selectorsOf(expr: string): readonly Selector[] {
  checkBrackets(expr);
  return [...expr.matchAll(/\b((?:tandem|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, series = '', inside = '']) => ({
      series,
      matchers: inside === '' ? [] : inside.split(/,(?=\w+[=!])/).map(readMatcher),
    }),
  );
}

function readMatcher(text: string) {
  const found = /^(\w+)(=|!=|=~|!~)"([^"]*)"$/.exec(text);
  if (!found) throw new Error(`no matcher: ${text}`);
  const [, label = '', operator = '', value = ''] = found;
  return { label, values: operator.endsWith('~') ? value.split('|') : [value] };
}

/** Words that are neither series, function, keyword, number nor duration: the labels that an expression groups by. */
export function wordsOf(expr: string): readonly string[] {
  const bare = expr
    .replace(/\b(?:tandem|process|nodejs)_\w+(?:\{[^}]*\})?/g, ' ')
    .replace(/\[\d+[smhd]\]|\boffset \d+[smhd]\b/g, ' ');
  const called = [...bare.matchAll(/\b([a-z_]+)\s*\(/g)].map((found) => found[1] ?? '');
  const unknown = called.filter((name) => !FUNCTIONS.has(name) && !KEYWORDS.has(name));
  if (unknown.length > 0) throw new Error(`no such function: ${unknown.join(', ')}`);
  return (bare.match(/[A-Za-z_]\w*/g) ?? []).filter((word) => !FUNCTIONS.has(word) && !KEYWORDS.has(word));
}

const CLOSING: Readonly<Record<string, string>> = { '(': ')', '{': '}', '[': ']' };

function checkBrackets(expr: string): void {
  const open: string[] = [];
  for (const [character] of expr.replace(/"[^"]*"/g, '').matchAll(/[(){}[\]"]/g)) {
    if (CLOSING[character]) open.push(CLOSING[character]);
    else if (open.pop() !== character) throw new Error(`brackets or quotes are not in order: ${expr}`);
  }
  if (open.length > 0) throw new Error(`brackets are not closed: ${expr}`);
}
