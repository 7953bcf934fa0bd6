/** Facts about the table or view of the features, which matching uses. */
export interface TableColumn {
  readonly name: string;
  /** The name as SQL must spell it. */
  readonly sql: string;
  /** The type as Postgres spells it: `bigint`, `double precision`, `numeric(10,2)`. */
  readonly type: string;
  /** The number of rows in which the column is null; null if not counted. */
  readonly nulls: number | null;
}

/** Facts about the values of a text column, read if it would have to become numbers. */
export interface TextFacts {
  /** Distinct texts in the order of code points, as Python sorts them; null if there are too many. */
  readonly values: readonly string[] | null;
  /** The number of rows with only spaces or an empty text. */
  readonly blanks: number;
  /** Whether all texts that are not blank are numbers. */
  readonly isNumeric: boolean;
}

export interface KeyFacts {
  readonly column: TableColumn;
  /** How it is known that no user has two rows; null if it is unknown. */
  readonly unique: 'index' | 'counted' | null;
  /** Whether the relation can have an index: a table can, a view cannot. */
  readonly isIndexable: boolean;
}

export interface TableFacts {
  /** The name as SQL must spell it, with its schema where that is needed. */
  readonly sql: string;
  /** All columns except the key, in the table's order. */
  readonly columns: readonly TableColumn[];
  readonly key: KeyFacts;
  /** Whether the relation can have triggers: a table can, a view cannot. */
  readonly isWatchable: boolean;
  /** The number of rows; null if counting would have taken too long. */
  readonly rows: number | null;
  /** Facts about text columns by column name. */
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

/** Returns whether a type is `char(n)`. It pads texts with blanks, which Postgres ignores but a model does not. */
export function isPadded({ type }: Pick<TableColumn, 'type'>): boolean {
  return type.startsWith('character(');
}

/** Returns the kind of a type. `numeric(10,2)` is a numeric; an enum or an array is `other`. */
export function kindOf({ type }: Pick<TableColumn, 'type'>): ColumnKind {
  return KINDS[type.replace(/\([^)]*\)/, '')] ?? 'other';
}
