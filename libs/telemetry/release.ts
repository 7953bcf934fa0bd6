/** The release of this code, as `tandem --version` and the list of processes show it. */
export const RELEASE = '0.2.0';
