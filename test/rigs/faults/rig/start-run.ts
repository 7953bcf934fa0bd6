/** Starts a run in addition to the runs of the load. */
import type { Rig } from './rig.ts';

/** Starts a run and returns its id, or null if the API refused it, for example because another run is in progress. */
export async function startRun({ apis }: Rig, wanted: unknown): Promise<{ readonly id: string } | null> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${apis[0]?.url}/v1/runs`, { method: 'POST', headers, body: JSON.stringify(wanted) });
  const said = (await answer.json()) as { readonly id?: string };
  return answer.status === 202 && said.id !== undefined ? { id: said.id } : null;
}
