import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { FOREVER, MS, SEC } from "../../src/base/time.ts";
import { Channel, join, type Proc, type Process, Signal, sleep, type Waitable } from "../../src/scheduler/process.ts";
import { HostScheduler, type ScheduledHost } from "../../src/scheduler/runtime.ts";

function setup(hosts = 1) {
  const errors: string[] = [];
  const scheduler = new HostScheduler((host, process, error) =>
    errors.push(`${host.hostName}/${process.name}: ${error instanceof Error ? error.message : String(error)}`),
  );
  const list = Array.from({ length: hosts }, (_, i) => scheduler.createHost(`h${i}`, i, new Random(`h${i}`)));
  return { scheduler, hosts: list, host: list[0] as ScheduledHost, errors };
}

function drive(scheduler: HostScheduler, until: number): void {
  scheduler.runReady();
  while (scheduler.nextTimer() <= until) {
    scheduler.advance(scheduler.nextTimer());
    scheduler.runReady();
  }
  scheduler.advance(until);
}

describe("HostScheduler", () => {
  it("runs programs first in, first out, and a spawned one after the current one yields", () => {
    const { scheduler, host } = setup();
    const log: string[] = [];
    host.spawn(
      "a",
      (function* (): Proc {
        log.push("a1");
        host.spawn(
          "c",
          (function* (): Proc {
            log.push("c1");
            yield { until: 0 };
          })(),
        );
        log.push("a2");
        yield* sleep(host, 0);
        yield { until: 0 };
        log.push("a3");
      })(),
    );
    host.spawn(
      "b",
      (function* (): Proc {
        log.push("b1");
        yield { until: 0 };
      })(),
    );
    scheduler.runReady();
    expect(log).toEqual(["a1", "a2", "b1", "c1", "a3"]);
  });

  it("steps a process once however many sources fire, with the first one", () => {
    const { scheduler, host } = setup();
    const [one, two] = [new Signal(), new Signal()];
    const woken: (Waitable | undefined)[] = [];
    host.spawn(
      "p",
      (function* (): Proc {
        for (;;) woken.push(yield { on: [one, two], until: host.now() + SEC });
      })(),
    );
    scheduler.runReady();
    two.notify();
    one.notify();
    two.notify();
    scheduler.runReady();
    expect(woken).toEqual([two]);
    scheduler.advance(SEC);
    one.notify();
    scheduler.runReady();
    expect(woken).toEqual([two, undefined]);
  });

  it("wakes again at a notify that comes after the step", () => {
    const { scheduler, host } = setup();
    const channel = new Channel<number>();
    const got: (number | undefined)[] = [];
    host.spawn(
      "p",
      (function* (): Proc {
        for (let i = 0; i < 3; i++) got.push(yield* channel.pop(5 * SEC));
      })(),
    );
    scheduler.runReady();
    channel.push(1);
    channel.push(2);
    scheduler.runReady();
    expect(got).toEqual([1, 2]);
    drive(scheduler, 5 * SEC);
    expect(got).toEqual([1, 2, undefined]);
  });

  it("fires deadlines by time, host index and order of waiting", () => {
    const { scheduler, hosts } = setup(3);
    const log: string[] = [];
    for (const host of [...hosts].reverse()) {
      for (const name of ["x", "y"]) {
        host.spawn(
          name,
          (function* (): Proc {
            yield { until: 10 };
            log.push(host.hostName + name);
          })(),
        );
      }
    }
    scheduler.runReady();
    expect(scheduler.nextTimer()).toBe(10);
    scheduler.advance(10);
    scheduler.runReady();
    expect(log).toEqual(["h0x", "h0y", "h1x", "h1y", "h2x", "h2y"]);
    expect(scheduler.nextTimer()).toBe(FOREVER);
  });

  it("kill runs finally blocks, removes the waits and tells who joined", () => {
    const { scheduler, host, errors } = setup();
    const signal = new Signal();
    const log: string[] = [];
    const victim = host.spawn(
      "victim",
      (function* (): Proc<number> {
        try {
          yield { on: [signal], until: SEC };
          log.push("woken");
        } finally {
          log.push("finally");
        }
        return 1;
      })(),
    );
    host.spawn(
      "watcher",
      (function* (): Proc {
        log.push(`joined ${yield* join(victim)}`);
      })(),
    );
    scheduler.runReady();
    victim.kill();
    signal.notify();
    drive(scheduler, 2 * SEC);
    expect(log).toEqual(["finally", "joined true"]);
    expect(victim).toMatchObject({ done: true, killed: true, result: undefined, error: undefined });
    expect(scheduler.nextTimer()).toBe(FOREVER);
    expect(host.processes()).toEqual([]);
    expect(errors).toEqual([]);
  });

  it("ends a program that kills itself at its next yield, and never starts one killed before its first step", () => {
    const { scheduler, host } = setup();
    const log: string[] = [];
    let self: Process | undefined;
    self = host.spawn(
      "self",
      (function* (): Proc {
        try {
          self?.kill();
          log.push("still here");
          yield {};
          log.push("never");
        } finally {
          log.push("finally");
        }
      })(),
    );
    const early = host.spawn(
      "early",
      (function* (): Proc {
        log.push("never");
        yield {};
      })(),
    );
    early.kill();
    scheduler.runReady();
    expect(log).toEqual(["still here", "finally"]);
    expect(self.done && early.done).toBe(true);
  });

  it("reports what a program throws, and keeps it in .error", () => {
    const { scheduler, host, errors } = setup();
    const process = host.spawn(
      "bad",
      (function* (): Proc {
        yield { until: 5 };
        throw new Error("boom");
      })(),
    );
    drive(scheduler, 10);
    expect(process.done).toBe(true);
    expect((process.error as Error).message).toBe("boom");
    expect(errors).toEqual(["h0/bad: boom"]);
  });

  it("reports a finally block that waits while being killed", () => {
    const { scheduler, host, errors } = setup();
    const process = host.spawn(
      "clingy",
      (function* (): Proc {
        try {
          yield {};
        } finally {
          yield { until: 5 };
        }
      })(),
    );
    scheduler.runReady();
    process.kill();
    expect(errors).toEqual(["h0/clingy: clingy waits in a finally block while being killed"]);
  });

  it("crash ends programs without their finally blocks", () => {
    const { scheduler, host } = setup();
    const log: string[] = [];
    const process = host.spawn(
      "p",
      (function* (): Proc {
        try {
          yield { until: SEC };
        } finally {
          log.push("finally");
        }
      })(),
    );
    scheduler.runReady();
    host.crash();
    drive(scheduler, 2 * SEC);
    expect(log).toEqual([]);
    expect(process.done && process.killed).toBe(true);
  });

  it("refuses to turn the clock back", () => {
    const { scheduler } = setup();
    scheduler.advance(5);
    expect(() => scheduler.advance(4)).toThrow("virtual time goes forward");
  });

  it("lets time go on when a program spins: it waits for the CPU, and others run", () => {
    const { scheduler, host } = setup();
    const steps = new Map<number, number>();
    const woken = new Set<Waitable | undefined>();
    const spin = function* (): Proc {
      for (;;) {
        steps.set(host.now(), (steps.get(host.now()) ?? 0) + 1);
        woken.add(yield { until: 0 });
      }
    };
    const process = host.spawn("spin", spin());
    let other = 0;
    host.spawn(
      "other",
      (function* (): Proc {
        for (;;) {
          yield* sleep(host, MS / 2);
          other++;
        }
      })(),
    );
    drive(scheduler, 3 * MS);
    expect([...steps.keys()]).toEqual([0, MS, 3 * MS]);
    expect(new Set(steps.values()).size).toBe(1);
    expect(woken).toEqual(new Set([undefined]));
    expect(other).toBe(6);
    drive(scheduler, SEC);
    expect(steps.size).toBe(8 + Math.floor((1000 - 127) / 128));
    process.kill();
    drive(scheduler, 2 * SEC);
    expect(process.done).toBe(true);
    expect(steps.size).toBe(14);
  });

  it("tells a program that waited for the CPU what woke it", () => {
    const { scheduler, host } = setup();
    const [one, two] = [new Signal(), new Signal()];
    const toAndFro = (mine: Signal, others: Signal) =>
      (function* (): Proc {
        for (let wait = false; ; wait = true) {
          others.notify();
          const source = yield { on: [mine] };
          if (wait) expect(source).toBe(mine);
        }
      })();
    const processes = [host.spawn("one", toAndFro(one, two)), host.spawn("two", toAndFro(two, one))];
    drive(scheduler, 4 * MS);
    expect(processes.map(({ error, done }) => ({ error, done }))).toEqual(
      processes.map(() => ({ error: undefined, done: false })),
    );
    expect(scheduler.nextTimer()).toBe(7 * MS);
  });

  it("lets time go on when programs start programs without end", () => {
    const { scheduler, host } = setup();
    let [alive, most] = [0, 0];
    const bomb = function* (): Proc {
      alive++;
      most = Math.max(most, alive);
      host.spawn("bomb", bomb());
      yield { until: 0 };
      alive--;
    };
    host.spawn("bomb", bomb());
    drive(scheduler, 2 * MS);
    expect(host.now()).toBe(2 * MS);
    expect(most).toBeLessThan(10);
  });

  it("keeps the order of deadlines when one is taken out of the middle", () => {
    const { scheduler, host } = setup();
    const fired: number[] = [];
    const processes = [1, 50, 2, 60, 70, 10, 11, 80, 81, 82, 83, 20, 21, 22, 12].map((at) =>
      host.spawn(
        "p",
        (function* (): Proc {
          yield { until: at };
          fired.push(host.now());
        })(),
      ),
    );
    scheduler.runReady();
    processes[7]?.kill();
    drive(scheduler, 100);
    expect(fired).toEqual([1, 2, 10, 11, 12, 20, 21, 22, 50, 60, 70, 81, 82, 83]);
  });

  it("fires every deadline at its time, in order, whatever is killed in between", () => {
    const plan = fc.array(fc.record({ at: fc.integer({ min: 1, max: 50 }), kill: fc.boolean() }), { maxLength: 60 });
    fc.assert(
      fc.property(plan, (entries) => {
        const { scheduler, host } = setup();
        const fired: number[] = [];
        const processes = entries.map(({ at }) =>
          host.spawn(
            "p",
            (function* (): Proc {
              yield { until: at * MS };
              expect(host.now()).toBe(at * MS);
              fired.push(at);
            })(),
          ),
        );
        scheduler.runReady();
        entries.forEach((entry, i) => {
          if (entry.kill) processes[i]?.kill();
        });
        drive(scheduler, 100 * MS);
        expect(fired).toEqual(
          entries
            .filter((e) => !e.kill)
            .map((e) => e.at)
            .sort((a, b) => a - b),
        );
      }),
    );
  });

  it("carries 1,000 hosts with 20 sleeping programs each for 20 rounds", () => {
    const { scheduler, hosts } = setup(1000);
    let steps = 0;
    for (const host of hosts) {
      for (let i = 0; i < 20; i++) {
        host.spawn(
          "p",
          (function* (): Proc {
            for (let round = 0; round < 20; round++) {
              yield* sleep(host, (1 + host.random.below(9)) * MS);
              steps++;
            }
          })(),
        );
      }
    }
    drive(scheduler, SEC);
    expect(steps).toBe(400_000);
  });
});
