/** Renders a Markdown table; a `|` in a cell is escaped, a line break becomes a space. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cellOf).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function cellOf(text: string): string {
  return text.replaceAll('\n', ' ').replaceAll('|', '\\|').trim();
}
