/**
 * Chooses the columns of a table for a matrix whose columns have no names. It leaves out columns for which there is a
 * good reason. If the other columns give the number of values that the model takes, it chooses them in the order of the
 * table, with texts after numbers. The result names the columns that are left out, with the reasons.
 */
import { bareName } from '@tandem/commands/names';
import { isNumber } from './column-expression.ts';
import { kindOf, type TableColumn, type TextFacts } from './table-facts.ts';

interface ChosenColumn {
  readonly column: TableColumn;
  /** The texts of a one-hot column. Each fills a value of the matrix. */
  readonly oneHot?: readonly string[];
}

export interface LeftOut {
  readonly column: TableColumn;
  readonly why: string;
}

export interface Choice {
  readonly chosen: readonly ChosenColumn[];
  readonly leftOut: readonly LeftOut[];
  /** Whether the number of values fits. If not, `chosen` has the candidates. */
  readonly fits: boolean;
  /** Text columns. If each of them became one number, the number of values would fit. */
  readonly asIndex: readonly TableColumn[];
}

/** Matches names of columns that contain the label or are only for training. */
const TRAINING =
  /^(label|target|y|outcome|response|class|churn(ed)?|convert(ed)?|conversion|default(ed)?|heldout|split|fold|is(train|test)(ing)?|(sample)?weight)$/;

type Texts = ReadonlyMap<string, TextFacts>;

/**
 * Chooses columns for a matrix of numbers.
 * @param width the number of values for each user; null if the model does not say
 */
export function chooseNumbers(columns: readonly TableColumn[], width: number | null, texts: Texts): Choice {
  const reasons = new Map(columns.map((column) => [column, reasonsAgainst(column, texts)] as const));
  const without = (...against: Reason[]) =>
    columns
      .filter((column) => !against.some((reason) => reasons.get(column)?.has(reason)))
      .map((column) => asChosen(column, texts));
  const numbers = [
    without('other', 'time', 'text'),
    without('other', 'time', 'text', 'training'),
    without('other', 'time', 'text', 'training', 'id'),
  ];
  const withTexts = [
    without('other', 'time'),
    without('other', 'time', 'training'),
    without('other', 'time', 'training', 'id'),
  ];
  const sets = [...numbers, ...withTexts, without('other', 'text', 'training', 'id')];
  const fitting = width === null ? numbers[2] : sets.find((set) => set.length > 0 && widthOf(set) === width);
  const chosen = numbersFirst(fitting ?? numbers[2] ?? []);
  return {
    chosen,
    leftOut: columns
      .filter((column) => !chosen.some((one) => one.column === column))
      .map((column) => ({ column, why: explain(reasons.get(column), column, texts) })),
    fits: fitting !== undefined && fitting.length > 0,
    asIndex: fitting ? [] : textsAsIndex(withTexts, width),
  };
}

/** Chooses text columns for a matrix of strings. */
export function chooseTexts(columns: readonly TableColumn[], width: number | null): Choice {
  const chosen = columns
    .filter((column) => kindOf(column) === 'text' && !TRAINING.test(bareName(column.name)))
    .map((column) => ({ column }));
  const leftOut = columns
    .filter((column) => !chosen.some((one) => one.column === column))
    .map((column) => ({ column, why: kindOf(column) === 'text' ? WHY.training : 'the model takes texts' }));
  return { chosen, leftOut, fits: chosen.length > 0 && (width === null || width === chosen.length), asIndex: [] };
}

const WHY = {
  training: 'a label or a training column, judging by its name',
  time: 'a time',
  id: 'an id, judging by its name',
  other: 'neither numbers nor a few texts',
  text: 'texts, but the model takes numbers',
};
type Reason = keyof typeof WHY;

function reasonsAgainst(column: TableColumn, texts: Texts): ReadonlySet<Reason> {
  const found = new Set<Reason>();
  if (TRAINING.test(bareName(column.name))) found.add('training');
  if (['moment', 'date', 'span'].includes(kindOf(column))) found.add('time');
  else if (/(_id|Id|ID)$/.test(column.name)) found.add('id');
  if (found.has('time') || isNumber(column) || texts.get(column.name)?.isNumeric) return found;
  const isCategory = kindOf(column) === 'text' && (texts.get(column.name)?.values?.length ?? 0) > 0;
  return found.add(isCategory ? 'text' : 'other');
}

function explain(reasons: ReadonlySet<Reason> = new Set(), column: TableColumn, texts: Texts): string {
  const [reason] = reasons;
  if (reason === undefined) return 'more columns than the model takes';
  const values = texts.get(column.name)?.values;
  return reason === 'text' && values ? `${values.length} different texts, but the model takes numbers` : WHY[reason];
}

function asChosen(column: TableColumn, texts: Texts): ChosenColumn {
  const text = texts.get(column.name);
  return kindOf(column) === 'text' && !text?.isNumeric && text?.values ? { column, oneHot: text.values } : { column };
}

/** Puts one-hot columns last, as pandas' get_dummies and most column transformers do. */
function numbersFirst(set: readonly ChosenColumn[]): readonly ChosenColumn[] {
  return [...set.filter(({ oneHot }) => !oneHot), ...set.filter(({ oneHot }) => oneHot)];
}

function widthOf(set: readonly ChosenColumn[]): number {
  return set.reduce((sum, { oneHot }) => sum + (oneHot?.length ?? 1), 0);
}

function textsAsIndex(sets: readonly (readonly ChosenColumn[])[], width: number | null): readonly TableColumn[] {
  const fitting = sets.find((set) => set.length === width) ?? [];
  return fitting.filter(({ oneHot }) => oneHot !== undefined).map(({ column }) => column);
}
