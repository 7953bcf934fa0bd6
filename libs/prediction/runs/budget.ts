/** What a run may cost: a share of the users (0 to 1), or minutes of CPU. */
export type Budget = { readonly share: number } | { readonly cpuMinutes: number };
