declare module 'cluster-key-slot' {
  /** Returns the slot of a key, or of its hash tag if it has one: 0 to 16,383. */
  export default function calculateSlot(key: string | Buffer): number;
}
