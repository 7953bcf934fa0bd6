/** What became of users, from a CSV file with the head `user_id,label`. */

import { CommandFailure } from '../command-line/failure.ts';
import { splitCsv } from '../csv/split-csv.ts';

export interface Label {
  readonly userId: string;
  readonly label: number;
}

/** As many as the service takes. */
const MOST_LABELS = 10_000;
const COLUMNS = ['user_id', 'label'];

/** @param file its name, for messages. Throws a CommandFailure that names the line. */
export function readLabels(text: string, file: string): readonly Label[] {
  const [head = '', ...lines] = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const names = splitCsv(head) ?? [];
  const [idAt, labelAt] = COLUMNS.map((name) => names.indexOf(name));
  if (idAt === undefined || labelAt === undefined || idAt < 0 || labelAt < 0) {
    throw wrongLine(file, 1, `the head names ${JSON.stringify(names.join(',')).slice(0, 80)}`);
  }
  const labels = lines.flatMap((line, i) => {
    if (line.trim() === '') return [];
    const cells = splitCsv(line);
    if (cells?.length !== names.length) throw wrongLine(file, i + 2, `it has not ${names.length} values`);
    const [userId = '', text = ''] = [cells[idAt], cells[labelAt]];
    const label = Number(text);
    if (text.trim() === '' || !Number.isFinite(label)) throw wrongLine(file, i + 2, 'its label is no number');
    return [{ userId, label }];
  });
  if (labels.length === 0) throw wrongLine(file, 2, 'there is no user');
  if (labels.length <= MOST_LABELS) return labels;
  throw new CommandFailure(`${file} has ${labels.length} labels, and a comparison takes ${MOST_LABELS}`, {
    remedy: `draw ${MOST_LABELS} of them: shuf -n ${MOST_LABELS}`,
  });
}

function wrongLine(file: string, no: number, problem: string): CommandFailure {
  return new CommandFailure(`${file}, line ${no}: ${problem}`, {
    remedy: 'it begins with user_id,label; then each line has a user’s id and a number, such as 0 or 1',
  });
}
