import { describe, expect, test } from 'vitest';
import { type InputTensor, matchInputs } from './match-inputs.ts';
import { table } from './table.fixture.ts';
import type { TableFacts } from './table-facts.ts';

const matrix = (width: number | string, type: InputTensor['type'] = 'float32'): InputTensor[] => [
  { name: 'features', type, shape: ['N', width] },
];
const one = (name: string, type: InputTensor['type'] = 'float32'): InputTensor => ({ name, type, shape: ['N', 1] });
const named = (tensors: InputTensor[], facts: TableFacts) => matchInputs(tensors, facts, null);
const queryOf = (match: ReturnType<typeof matchInputs>) =>
  match.features.map(({ name, sql }) => (name === sql ? sql : `${sql} as ${name}`));

describe('a matrix', () => {
  test('takes the numbers in the order of the table, and says that the order must be checked', () => {
    const match = named(matrix(3), table('visits integer, spent numeric(10,2), active boolean'));
    expect(queryOf(match)).toEqual(['visits', 'spent::float8 as spent', 'active']);
    expect(match).toMatchObject({ undecided: [], remarks: [expect.stringContaining('does not name its features')] });
  });

  test('renames a column that has the name of the key in the query', () => {
    expect(queryOf(named(matrix(2), table('user_id bigint, age real')))).toEqual(['user_id as user_id_feature', 'age']);
  });

  test('leaves out training columns, texts, ids and times, and says why', () => {
    const facts = table(
      'label integer, held_out integer, visits integer, shop_id integer, spent real, cohort text, born date, loaded_at timestamp with time zone',
      { cohort: { values: ['a', 'b', 'c'] } },
    );
    const match = named(matrix(2), facts);
    expect(queryOf(match)).toEqual(['visits', 'spent']);
    expect(match.asOf?.name).toBe('loaded_at');
    expect(match.leftOut.map(({ column, why }) => [column.name, why.slice(0, 7)])).toEqual([
      ['label', 'a label'],
      ['held_out', 'a label'],
      ['shop_id', 'an id, '],
      ['cohort', '3 diffe'],
      ['born', 'a time'],
    ]);
    expect(match.undecided).toEqual([]);
  });

  test('takes texts one-hot if the width then fits', () => {
    const facts = table('age integer, plan text, churn text', {
      plan: { values: ['basic', 'free', 'pro'] },
      churn: { values: ['No', 'Yes'] },
    });
    const match = named(matrix(4), facts);
    expect(match.features).toMatchObject([{ name: 'age' }, { name: 'plan', oneHot: ['basic', 'free', 'pro'] }]);
    expect(match.undecided).toEqual([]);
  });

  test('puts texts after numbers, as pandas does, and says so', () => {
    const facts = table('plan text, age integer', { plan: { values: ['basic', 'free', 'pro'] } });
    const match = named(matrix(4), facts);
    expect(match.features.map(({ name }) => name)).toEqual(['age', 'plan']);
    expect(match.remarks).toEqual([expect.stringContaining('texts after numbers')]);
  });

  test('does not use a timestamp without a time zone as asOf, and says how to convert it', () => {
    const match = named(matrix(1), table('age integer, updated_at timestamp without time zone'));
    expect(match.asOf).toBeNull();
    expect(match.remarks).toEqual([expect.stringContaining("(updated_at at time zone 'UTC') as updated_at")]);
  });

  test('does not guess an order of texts for indices', () => {
    const match = named(matrix(2), table('age integer, plan text', { plan: { values: ['basic', 'free', 'pro'] } }));
    expect(match.asIndex.map(({ name }) => name)).toEqual(['plan']);
    expect(match.undecided).toEqual([
      expect.stringContaining('the number of columns would fit if plan were one number each'),
    ]);
  });

  test('of the wrong width lists the candidates', () => {
    const { undecided } = named(matrix(2), table('a integer, b integer, c integer'));
    expect(undecided).toEqual([
      'the model takes 2 values for each user (features float32 [N, 2]), and 3 columns of the table could be meant: a, b, c',
    ]);
  });

  test('takes the order of the feature names in its file', () => {
    const match = matchInputs(matrix(2), table('spent real, visits integer, noise real'), ['Visits', 'spent']);
    expect(queryOf(match)).toEqual(['visits', 'spent']);
    expect(match.remarks).toEqual([expect.stringContaining('feature names in the model file')]);
  });

  test('whose file names features that the table lacks is left to decide, and fills no column by its position', () => {
    const names = ['Temp °C', 'select', 'Is On?'];
    const match = matchInputs(matrix(3), table('d real, b real, a real'), names);
    expect(match).toMatchObject({ features: [], remarks: [] });
    expect(match.undecided).toEqual([
      'the model names its features Temp °C, select, Is On?, and the table customers has no such columns: select the column of each feature, in the order of the names',
    ]);
    const some = matchInputs(matrix(3), table('temp_c real, b real'), names);
    expect(queryOf(some)).toEqual(['temp_c']);
    expect(some.undecided).toEqual([expect.stringContaining('has no column for select, Is On?: ')]);
    const single = matchInputs([one('input')], table('a real'), ['Temp °C']);
    expect(single).toMatchObject({ features: [], undecided: [expect.stringContaining('names its features Temp °C')] });
    expect(queryOf(matchInputs([one('a')], table('a real'), ['a']))).toEqual(['a']);
  });

  test('whose file names two features alike is left to decide, because one column cannot fill both', () => {
    const match = matchInputs(matrix(2), table('a real, b real'), ['a', 'A']);
    expect(match.undecided).toEqual([expect.stringContaining('no column for A')]);
  });

  test('takes names of one-hot values from its file', () => {
    const facts = table('plan text, age integer', { plan: { values: ['free', 'pro'] } });
    const match = matchInputs(matrix(3), facts, ['age', 'plan_free', 'plan_pro']);
    expect(match.features).toMatchObject([{ name: 'age' }, { name: 'plan', oneHot: ['free', 'pro'] }]);
    expect(match).toMatchObject({ undecided: [], remarks: [expect.stringContaining('names in the model file')] });
    expect(matchInputs(matrix(3), facts, ['plan_free', 'plan_pro', 'age']).undecided).toHaveLength(1);
  });

  test('takes the order of the table if its file only numbers the features, or names another number of them', () => {
    const facts = table('b real, a real');
    const remarksOf = (names: string[]) => matchInputs(matrix(2), facts, names).remarks;
    expect(remarksOf(['f0', 'f1'])).toEqual([
      expect.stringMatching(/only by position \(f0, f1\)\. The features are in/),
    ]);
    expect(remarksOf(['a'])).toEqual([expect.stringMatching(/takes 2 values for each user, but its file names 1 /)]);
    expect(remarksOf(['features'])).toEqual([expect.stringContaining('does not name its features')]);
  });

  test('of texts takes the text columns', () => {
    expect(queryOf(named(matrix(2, 'string'), table('a text, n integer, b text')))).toEqual(['a', 'b']);
  });

  test('removes padding blanks of texts, as of their categories', () => {
    const facts = table('age integer, plan character(6)', { plan: { values: ['free', 'paid'] } });
    const match = named(matrix(3), facts);
    expect(queryOf(match)).toEqual(['age', 'plan::text as plan']);
    expect(match.features[1]).toMatchObject({ oneHot: ['free', 'paid'], note: expect.stringContaining('blanks') });
    expect(queryOf(named(matrix(1, 'string'), facts))).toEqual(['plan::text as plan']);
  });

  test('takes a text of numbers as a number', () => {
    const match = named(matrix(1), table('total text', { total: { isNumeric: true, blanks: 2 } }));
    expect(queryOf(match)).toEqual(["nullif(trim(total), '')::float8 as total"]);
  });
});

describe('named inputs', () => {
  test('take the columns with their names, in any spelling', () => {
    const tensors = [one('TotalCharges'), one('tenure', 'int64'), one('PaperlessBilling', 'string')];
    const match = named(tensors, table('tenure real, paperless_billing boolean, total_charges numeric, rest text'));
    expect(queryOf(match)).toEqual([
      'total_charges::float8 as TotalCharges',
      'tenure::bigint as tenure',
      'paperless_billing::text as PaperlessBilling',
    ]);
    expect(match).toMatchObject({ inputs: null, undecided: [], leftOut: [{ column: { name: 'rest' } }] });
  });

  test('whose names are not valid column names are mapped to the columns explicitly', () => {
    const [long, short] = ['x_'.repeat(40), 'x'.repeat(40)];
    const match = named([one('user_id'), one(long), one('age')], table(`user_id bigint, ${short} real, age real`));
    expect(queryOf(match)).toEqual(['user_id as user_id_feature', short, 'age']);
    expect(match).toMatchObject({
      undecided: [],
      inputs: [
        { name: 'user_id', type: 'float32', columns: ['user_id_feature'] },
        { name: long, type: 'float32', columns: [short] },
        { name: 'age', type: 'float32', columns: ['age'] },
      ],
    });
  });

  test('of integers and flags take texts of numbers and money that Postgres can convert', () => {
    const facts = table('age text, spent money, paid money', { age: { isNumeric: true } });
    expect(queryOf(named([one('age', 'int64'), one('spent', 'int32'), one('paid', 'bool')], facts))).toEqual([
      "nullif(trim(age), '')::numeric::bigint as age",
      'spent::numeric::bigint as spent',
      '(paid <> 0::money) as paid',
    ]);
  });

  test('without a column are reported with the most similar name', () => {
    const { undecided } = named([one('visits'), one('spent')], table('visit integer, spent real'));
    expect(undecided).toEqual([
      'no column fills the input visits float32 [N, 1] of the model (if requests send it, declare it in request); did you mean visit?',
    ]);
  });

  test('of a matrix of numbers and one of texts each take the columns that fit', () => {
    const tensors: InputTensor[] = [
      { name: 'numbers', type: 'float32', shape: ['N', 2] },
      { name: 'texts', type: 'string', shape: ['N', 2] },
    ];
    const match = named(tensors, table('a real, p text, b real, q text'));
    expect(match.inputs).toEqual([
      { name: 'numbers', type: 'float32', columns: ['a', 'b'] },
      { name: 'texts', type: 'string', columns: ['p', 'q'] },
    ]);
  });

  test('of numbers are not filled with texts', () => {
    const { undecided } = named(
      [one('plan'), one('age')],
      table('plan text, age integer', { plan: { values: ['a'] } }),
    );
    expect(undecided).toEqual([expect.stringContaining('column plan has type text')]);
  });
});
