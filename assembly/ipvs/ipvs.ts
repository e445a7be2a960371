/** IPVS's part in the kernel's start-up. */
import { setIpvsHooks } from "../netfilter/netfilter";
import { connInit } from "./conn";
import { hookForward, hookLocalIn, hookLocalOut } from "./core";

/** Called once at start-up. */
export function ipvsInit(): void {
  connInit();
  setIpvsHooks(changetype<usize>(hookLocalIn), changetype<usize>(hookLocalOut), changetype<usize>(hookForward));
}
