/** Facts about the table (or view) of the features, before anything is matched to it. */
export interface TableColumn {
  readonly name: string;
  /** The name as SQL must spell it. */
  readonly sql: string;
  /** The type as Postgres spells it: `bigint`, `double precision`, `numeric(10,2)`. */
  readonly type: string;
  /** Rows in which it is null; null: not counted. */
  readonly nulls: number | null;
}

/** Facts about the values of a text column, read if it would have to become numbers. */
export interface TextFacts {
  /** Distinct texts in the order of their code points, as Python sorts them; null: too many to list. */
  readonly values: readonly string[] | null;
  /** Rows of spaces, or of nothing. */
  readonly blanks: number;
  /** Whether each text that is not blank is a number. */
  readonly isNumeric: boolean;
}

export interface KeyFacts {
  readonly column: TableColumn;
  /** How it is known that no user has two rows; null: it is not known. */
  readonly unique: 'index' | 'counted' | null;
  /** Whether an index can be made on it: on a table, not on a view. */
  readonly isIndexable: boolean;
}

export interface TableFacts {
  /** The name as SQL must spell it, with its schema where that is needed. */
  readonly sql: string;
  /** All columns except the key, in the table's order. */
  readonly columns: readonly TableColumn[];
  readonly key: KeyFacts;
  /** Whether it can have triggers: a table, not a view. */
  readonly isWatchable: boolean;
  /** null: not counted, since that would have taken too long. */
  readonly rows: number | null;
  /** Facts of text columns by column name. */
  readonly texts: ReadonlyMap<string, TextFacts>;
}

type ColumnKind =
  | 'integer'
  | 'number'
  | 'numeric'
  | 'money'
  | 'boolean'
  | 'text'
  | 'moment'
  | 'date'
  | 'span'
  | 'other';

const KINDS: Readonly<Record<string, ColumnKind>> = {
  smallint: 'integer',
  integer: 'integer',
  bigint: 'integer',
  real: 'number',
  'double precision': 'number',
  numeric: 'numeric',
  money: 'money',
  boolean: 'boolean',
  text: 'text',
  'character varying': 'text',
  character: 'text',
  date: 'date',
  'timestamp with time zone': 'moment',
  'timestamp without time zone': 'moment',
  interval: 'span',
  'time without time zone': 'span',
};

/** `char(n)` is filled up with blanks, which Postgres ignores, but which make another text for a model. */
export function isPadded({ type }: Pick<TableColumn, 'type'>): boolean {
  return type.startsWith('character(');
}

/** The use of a type; `numeric(10,2)` is a numeric, an enum or an array is `other`. */
export function kindOf({ type }: Pick<TableColumn, 'type'>): ColumnKind {
  return KINDS[type.replace(/\([^)]*\)/, '')] ?? 'other';
}
