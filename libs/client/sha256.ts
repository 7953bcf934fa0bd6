/** SHA-256 in hex, by what browsers and Node have. */
export async function sha256(file: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', file as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
