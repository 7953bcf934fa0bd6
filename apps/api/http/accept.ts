/** Whether an Accept header (RFC 9110, 12.5.1) lets a media type through. */

/** The most specific range that fits decides; a quality of 0 excludes. A header that cannot be read excludes nothing. */
export function accepts(header: string | null | undefined, type: string): boolean {
  if (!header || header === '*/*' || header === type) return true;
  const family = `${type.slice(0, type.indexOf('/'))}/*`;
  let best = 0;
  let quality = 0;
  for (const range of header.split(',')) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const specificity = name === type ? 3 : name === family ? 2 : name === '*/*' ? 1 : 0;
    if (specificity === 0 || specificity < best) continue;
    const q = Number(parameters.find((one) => one.startsWith('q='))?.slice(2) ?? 1);
    quality = specificity > best ? q : Math.max(quality, q);
    best = specificity;
  }
  return quality !== 0;
}
