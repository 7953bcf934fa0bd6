/** Connection URLs carry passwords, and logs and messages must not. */

/** The URL with every password in it as `***`; safe for a text that is no URL. */
export function maskUrl(url: string): string {
  return (
    url
      // Up to the last @ before the host: an unescaped @ may stand in the password itself.
      .replace(/(:\/\/[^/?#@:\s]*):[^\s]*@/g, '$1:***@')
      .replace(/([?&](?:[a-z_-]*password|[a-z_-]*secret|[a-z_-]*token)=)[^&#\s]*/gi, '$1***')
  );
}
