/** Patches for several controls: Redis keeps the last write, without comparing it with the stored value. */
import type { Patch } from '../patch.ts';

export const plainSet: readonly Patch[] = [
  {
    file: 'libs/online-store/put-overlay.lua',
    find: 'if is_outdated(found[i + 1], history, context) then',
    replace: 'if false then',
  },
  {
    file: 'libs/online-store/put-overlay.lua',
    find: 'elseif is_older(stored, history, model, floor, context, computed) then',
    replace: 'elseif false then',
  },
];
