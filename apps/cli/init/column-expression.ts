/** Returns the SQL of a column in the feature query, converted to a type that the tensor of the model takes. */
import type { TensorType } from '@tandem/freshness/predictor';
import { isPadded, kindOf, type TableColumn, type TextFacts } from './table-facts.ts';

interface Expression {
  readonly sql: string;
  /** A remark for readers of the query. */
  readonly note?: string;
}

/** Returns the converted column; null if only categories, or nothing, could make it fit. */
export function expressionFor(column: TableColumn, type: TensorType, text: TextFacts | undefined): Expression | null {
  if (type === 'string') return asText(column);
  if (type === 'bool') return asFlag(column);
  return type.startsWith('float') ? asNumber(column, text) : asInteger(column, text);
}

function asText(column: TableColumn): Expression {
  if (isPadded(column)) return { sql: `${column.sql}::text`, note: 'without padding blanks' };
  if (kindOf(column) === 'text') return { sql: column.sql };
  return {
    sql: `${column.sql}::text`,
    note: `in the text form of Postgres for ${column.type}, which may differ from that of Python`,
  };
}

function asFlag(column: TableColumn): Expression | null {
  if (kindOf(column) === 'boolean') return { sql: column.sql };
  if (kindOf(column) === 'money') return { sql: `(${column.sql} <> 0::money)` };
  return isNumber(column) ? { sql: `(${column.sql} <> 0)` } : null;
}

function asNumber(column: TableColumn, text: TextFacts | undefined): Expression | null {
  const { sql } = column;
  switch (kindOf(column)) {
    case 'integer':
    case 'number':
    case 'boolean':
      return { sql };
    case 'numeric':
      return { sql: `${sql}::float8` };
    case 'money':
      return { sql: `${sql}::numeric::float8` };
    case 'date':
      return { sql: `(${sql} - date '1970-01-01')`, note: 'as days since 1970' };
    case 'moment':
    case 'span':
      return { sql: `extract(epoch from ${sql})::float8`, note: 'as seconds' };
    case 'text':
      return text?.isNumeric ? { sql: `nullif(trim(${sql}), '')::float8`, note: 'a text of numbers' } : null;
    case 'other':
      return null;
  }
}

function asInteger(column: TableColumn, text: TextFacts | undefined): Expression | null {
  const kind = kindOf(column);
  if (kind === 'integer' || kind === 'boolean' || kind === 'date') return asNumber(column, text);
  const number = asNumber(column, text);
  if (number === null) return null;
  const exact = number.sql.replace(/::float8$/, '');
  // Postgres cannot cast the text 29.85 to bigint, and numeric keeps all digits of a large number.
  return { sql: `${exact}${kind === 'text' ? '::numeric' : ''}::bigint`, note: 'rounded to an integer' };
}

/** Returns whether a numeric tensor takes the column unchanged: it is a number or a flag. */
export function isNumber(column: TableColumn): boolean {
  return ['integer', 'number', 'numeric', 'money', 'boolean'].includes(kindOf(column));
}
