/** Texts and keys as a config file writes them, whatever characters are in them. */

/** A string literal, in the quotes that need fewer escapes. */
export function quote(text: string): string {
  const json = JSON.stringify(text);
  const singles = text.split("'").length;
  const doubles = text.split('"').length;
  if (singles > doubles) return json;
  return `'${json.slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

/** A key of an object: `score`, `'dense:0'`. */
export function keyText(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : quote(name);
}
