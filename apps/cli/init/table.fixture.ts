/** Tables for the tests of matching, written as `name type`, with `!` for columns with nulls. */
import type { TableColumn, TableFacts, TextFacts } from './table-facts.ts';

export function table(columns: string, texts: Readonly<Record<string, Partial<TextFacts>>> = {}): TableFacts {
  return {
    sql: 'customers',
    columns: columns.split(', ').map(column),
    key: { column: column('id bigint'), unique: 'index', isIndexable: true },
    isWatchable: true,
    rows: 100,
    texts: new Map(
      Object.entries(texts).map(([name, facts]) => [name, { values: null, blanks: 0, isNumeric: false, ...facts }]),
    ),
  };
}

function column(text: string): TableColumn {
  const [, name = '', type = '', nulls] = /^\s*(\S+) ([^!]+)(!?)/.exec(text) ?? [];
  const isPlain = /^[a-z_][a-z0-9_]*$/.test(name);
  return { name, sql: isPlain ? name : `"${name}"`, type: type.trim(), nulls: nulls === '!' ? 7 : 0 };
}
