/** What the engine says it is. */
export const ENGINE_VERSION = "20.10.24";
export const API_VERSION = "1.41";
export const MIN_API_VERSION = "1.12";
export const KERNEL_VERSION = "6.1.0-56-amd64";
