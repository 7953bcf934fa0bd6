/** Cuts items into parts. Without items there are no parts. */
export function partsOf<T>(items: readonly T[], most: number = items.length): (readonly T[])[] {
  if (items.length <= most) return items.length > 0 ? [items] : [];
  return Array.from({ length: Math.ceil(items.length / most) }, (_, i) => items.slice(i * most, (i + 1) * most));
}
