/** Where the module for this host stands: one with 128-bit vectors where the host has them. */
export declare const moduleUrl: URL;
/** Fetches and starts the module for this host. Has to be awaited before anything of the package is used. */
export default function load(): Promise<unknown>;
