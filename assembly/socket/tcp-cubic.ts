/**
 * CUBIC with HyStart (net/ipv4/tcp_cubic.c, RFC 9438): β = 717/1024, C = 41/1024 per 100 ms of RTT, fast convergence.
 * Its clock is the jiffy (4 ms); HyStart's is the microsecond.
 */
import { now } from "../sim/event";
import { after } from "../wire/tcp";
import { JIFFY, NS_PER_US } from "./tcp-const";
import { TcpSock, inSlowStart } from "./tcp-sock";

const BETA: u32 = 717;
const BETA_SCALE: u32 = 15;
const CUBE_RTT_SCALE: u64 = 410;
/** 2^40 / 410. */
const CUBE_FACTOR: u64 = 2681735677;
const BICTCP_HZ: u32 = 10;
const HZ: u64 = 250;
const HYSTART_LOW_WINDOW: u32 = 16;
const HYSTART_MIN_SAMPLES: u32 = 8;
const HYSTART_DELAY_MIN: u32 = 4000;
const HYSTART_DELAY_MAX: u32 = 16000;
const HYSTART_ACK_DELTA: i64 = 2000 * NS_PER_US;

@inline
function jiffies(): i64 {
  return now / JIFFY;
}

/** bictcp_reset. */
function reset(tp: TcpSock): void {
  tp.cubCnt = 0;
  tp.cubLastMaxCwnd = 0;
  tp.cubLastCwnd = 0;
  tp.cubLastTime = 0;
  tp.cubOrigin = 0;
  tp.cubK = 0;
  tp.cubDelayMin = 0;
  tp.cubEpoch = -1;
  tp.cubAckCnt = 0;
  tp.cubTcpCwnd = 0;
  tp.cubFound = 0;
}

function hystartReset(tp: TcpSock): void {
  tp.cubRoundStart = now;
  tp.cubLastAck = now;
  tp.cubEndSeq = tp.sndNxt;
  tp.cubCurrRtt = 0xffffffff;
  tp.cubSampleCnt = 0;
}

/** cubictcp_init. */
export function cubicInit(tp: TcpSock): void {
  reset(tp);
  hystartReset(tp);
}

/** The state became Loss (cubictcp_state). */
export function cubicLoss(tp: TcpSock): void {
  reset(tp);
  hystartReset(tp);
}

/** The congestion window restarts after idling: CUBIC keeps its state (no handler for CA_EVENT_CWND_RESTART). */
export function cubicCwndRestart(tp: TcpSock): void {
  tp.cwndCnt = 0;
}

/** First transmission after an idle time: the epoch moves on (CA_EVENT_TX_START). */
export function cubicTxStart(tp: TcpSock): void {
  if (tp.cubEpoch < 0) return;
  const delta = (now - tp.lsndTime) / JIFFY;
  if (delta <= 0) return;
  tp.cubEpoch += delta;
  const time = jiffies();
  if (tp.cubEpoch > time) tp.cubEpoch = time;
}

/** Cube root of a 64-bit number, rounded down to within one (cubic_root by Newton's method). */
function cubicRoot(a: u64): u32 {
  if (a == 0) return 0;
  let x: u64 = (<u64>1) << <u64>((64 - <u32>clz<u64>(a) + 2) / 3);
  for (let i = 0; i < 40; i++) {
    const next = (2 * x + a / (x * x)) / 3;
    if (next >= x) break;
    x = next;
  }
  return <u32>x;
}

/** New slow start threshold after a loss (cubictcp_recalc_ssthresh). */
export function cubicSsthresh(tp: TcpSock): u32 {
  tp.cubEpoch = -1;
  // Fast convergence: the window did not reach the last maximum.
  if (tp.cwnd < tp.cubLastMaxCwnd) tp.cubLastMaxCwnd = (tp.cwnd * (1024 + BETA)) >> 11;
  else tp.cubLastMaxCwnd = tp.cwnd;
  const half = (tp.cwnd * BETA) >> 10;
  return half > 2 ? half : 2;
}

/** Computes cnt: cwnd grows by one per cnt acknowledged segments (bictcp_update). */
function update(tp: TcpSock, acked: u32): void {
  const cwnd = tp.cwnd;
  const time = jiffies();
  tp.cubAckCnt += acked;
  if (tp.cubLastCwnd == cwnd && time - tp.cubLastTime <= <i64>HZ / 32) return;
  if (tp.cubEpoch < 0 || time != tp.cubLastTime) curve(tp, acked, time);
  // TCP friendliness: as fast as Reno at least.
  let delta = (cwnd * BETA_SCALE) >> 3;
  while (tp.cubAckCnt > delta) {
    tp.cubAckCnt -= delta;
    tp.cubTcpCwnd++;
  }
  if (tp.cubTcpCwnd > cwnd) {
    delta = tp.cubTcpCwnd - cwnd;
    const most = cwnd / delta;
    if (tp.cubCnt > most) tp.cubCnt = most;
  }
  if (tp.cubCnt < 2) tp.cubCnt = 2;
}

function curve(tp: TcpSock, acked: u32, time: i64): void {
  const cwnd = tp.cwnd;
  tp.cubLastCwnd = cwnd;
  tp.cubLastTime = time;
  if (tp.cubEpoch < 0) {
    tp.cubEpoch = time;
    tp.cubAckCnt = acked;
    tp.cubTcpCwnd = cwnd;
    if (tp.cubLastMaxCwnd <= cwnd) {
      tp.cubK = 0;
      tp.cubOrigin = cwnd;
    } else {
      tp.cubK = cubicRoot(CUBE_FACTOR * <u64>(tp.cubLastMaxCwnd - cwnd));
      tp.cubOrigin = tp.cubLastMaxCwnd;
    }
  }
  let t = <u64>(time - tp.cubEpoch) + (<u64>tp.cubDelayMin + 3999) / 4000;
  t = (t << BICTCP_HZ) / HZ;
  const k = <u64>tp.cubK;
  const below = t < k;
  const offs = below ? k - t : t - k;
  const delta = <u32>((CUBE_RTT_SCALE * offs * offs * offs) >> 40);
  const target = below ? tp.cubOrigin - delta : tp.cubOrigin + delta;
  if (<i32>(target - cwnd) > 0) tp.cubCnt = cwnd / (target - cwnd);
  else tp.cubCnt = 100 * cwnd;
  if (tp.cubLastMaxCwnd == 0 && tp.cubCnt > 20) tp.cubCnt = 20;
}

/** Grows the window by `acked` newly delivered segments (cubictcp_cong_avoid); the caller checked that it was the limit. */
export function cubicCongAvoid(tp: TcpSock, acked: u32): void {
  if (inSlowStart(tp)) {
    // tcp_slow_start
    const grown = tp.cwnd + acked;
    const cwnd = grown < tp.ssthresh ? grown : tp.ssthresh;
    acked -= cwnd - tp.cwnd;
    tp.cwnd = cwnd;
    if (acked == 0) return;
  }
  update(tp, acked);
  // tcp_cong_avoid_ai
  const w = tp.cubCnt;
  if (tp.cwndCnt >= w) {
    tp.cwndCnt = 0;
    tp.cwnd++;
  }
  tp.cwndCnt += acked;
  if (tp.cwndCnt >= w) {
    const delta = tp.cwndCnt / w;
    tp.cwndCnt -= delta * w;
    tp.cwnd += delta;
  }
}

/** An RTT sample of acknowledged data, in µs; negative = none (cubictcp_acked). */
export function cubicAcked(tp: TcpSock, rttUs: i32): void {
  if (rttUs < 0) return;
  // Right after a recovery the samples mislead.
  if (tp.cubEpoch >= 0 && jiffies() - tp.cubEpoch < <i64>HZ) return;
  const delay: u32 = rttUs == 0 ? 1 : <u32>rttUs;
  if (tp.cubDelayMin == 0 || tp.cubDelayMin > delay) tp.cubDelayMin = delay;
  if (!tp.cubFound && inSlowStart(tp) && tp.cwnd >= HYSTART_LOW_WINDOW) hystart(tp, delay);
}

/** hystart_update: leaves slow start when the ACK train is long or the delay grows. */
function hystart(tp: TcpSock, delay: u32): void {
  if (after(tp.sndUna, tp.cubEndSeq)) hystartReset(tp);
  if (now - tp.cubLastAck <= HYSTART_ACK_DELTA) {
    tp.cubLastAck = now;
    if (now - tp.cubRoundStart > (<i64>tp.cubDelayMin * NS_PER_US) >> 1) {
      tp.cubFound = 1;
      tp.ssthresh = tp.cwnd;
    }
  }
  if (tp.cubCurrRtt > delay) tp.cubCurrRtt = delay;
  if (tp.cubSampleCnt < HYSTART_MIN_SAMPLES) {
    tp.cubSampleCnt++;
    return;
  }
  let margin = tp.cubDelayMin >> 3;
  if (margin < HYSTART_DELAY_MIN) margin = HYSTART_DELAY_MIN;
  if (margin > HYSTART_DELAY_MAX) margin = HYSTART_DELAY_MAX;
  if (tp.cubCurrRtt > tp.cubDelayMin + margin) {
    tp.cubFound = 1;
    tp.ssthresh = tp.cwnd;
  }
}
