/**
 * Checks the text of a feature query. Larger statements contain it in parentheses, so it must be a single select that
 * ends at the end of its text. Postgres checks the rest when it describes the query.
 */
import { lexSql, type SqlFault, type SqlToken } from './sql-lexer.ts';

/** Returns why a text cannot be a feature query, or null. */
export function featureSqlFault(sql: string): SqlFault | null {
  const { tokens, fault } = lexSql(sql);
  if (fault) return fault;
  const code = tokens.filter(({ kind }) => kind !== 'line comment' && kind !== 'block comment');
  if (code.length === 0) {
    return {
      problem: 'is empty',
      remedy: "write a select with a column user_id and the features in the model's order",
    };
  }
  const textOf = ({ start, end }: SqlToken) => sql.slice(start, end);
  if (code.some((token) => textOf(token) === ';')) {
    return { problem: 'contains a semicolon', remedy: 'leave it out: the query becomes part of larger statements' };
  }
  const parameter = code.find(({ kind }) => kind === 'parameter');
  if (parameter) {
    return {
      problem: `contains the parameter ${textOf(parameter)}`,
      remedy: 'write the query for all users; Tandem adds the condition for the users to read',
    };
  }
  const symbols = code.filter(({ kind }) => kind === 'symbol').map(textOf);
  const first = code.find((token) => textOf(token) !== '(');
  if (!first || !/^(select|with|table|values)$/i.test(textOf(first))) {
    return { problem: 'is not a select', remedy: 'start it with select, or with' };
  }
  return bracketFault(symbols) ?? endFault(tokens);
}

/** Returns the problem of unbalanced parentheses. A surplus one would close the parentheses around the query. */
function bracketFault(symbols: readonly string[]): SqlFault | null {
  let open = 0;
  for (const symbol of symbols) {
    if (symbol === '(') open++;
    if (symbol === ')') open--;
    if (open < 0) return { problem: 'has a ) without its (', remedy: 'remove it, or write the ( before it' };
  }
  return open === 0 ? null : { problem: 'has a ( without its )', remedy: 'close it' };
}

function endFault(tokens: readonly SqlToken[]): SqlFault | null {
  if (tokens.at(-1)?.kind !== 'line comment') return null;
  return { problem: 'ends in a -- comment', remedy: 'move the comment up, or write it as /* … */' };
}
