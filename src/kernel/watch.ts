/** What a run of the kernel can be told to end after: bits, to be or-ed (assembly/sim/watch.ts). */
export { WATCH_DROP, WATCH_FRAME } from "../../assembly/abi.ts";
