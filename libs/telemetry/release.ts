/** The release that this code belongs to, as `tandem --version` and the list of processes say it. */
export const RELEASE = '0.2.0';
