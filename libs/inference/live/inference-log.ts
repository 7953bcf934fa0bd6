/** What the parts of this library tell the operator: one event, `noun.verb`, with its fields. */
export type InferenceLog = (event: string, fields: Readonly<Record<string, unknown>>) => void;
