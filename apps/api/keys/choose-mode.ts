/** Decides whether keys are required. They are not if only this machine can reach the service. */
import type { ApiKeysSection } from '@tandem/config/environment/environment-sections';
import { TandemError } from '@tandem/freshness/errors';

/** The pepper under which required keys are stored; null if keys are off. */
export type KeyMode = { readonly pepper: string } | null;

/**
 * Returns whether keys are required, with their pepper.
 * @param isLocal whether clients reach the service at a loopback address
 * @throws TandemError `config_invalid` if keys are required without a pepper
 */
export function chooseKeyMode({ mode, pepper, publishedOn }: ApiKeysSection, isLocal: boolean): KeyMode {
  const isRequired = mode === 'required' || (mode === 'auto' && !isLocal);
  if (!isRequired) return null;
  if (pepper !== null) return { pepper };
  const why =
    mode === 'required'
      ? 'API_KEYS=required'
      : `${publishedOn} is not a loopback address, so other machines can reach the API`;
  throw new TandemError('config_invalid', `API_KEY_PEPPER is not set, and API keys are needed (${why})`, {
    field: 'API_KEY_PEPPER',
    remedy:
      'set it, or API_KEY_PEPPER_FILE, to the same secret for every process and for tandem key (openssl rand -hex 32); or set API_KEYS=off if a firewall or proxy restricts access',
  });
}
