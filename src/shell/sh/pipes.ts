/** Pipes between processes (pipe(7)): a writer that is ahead waits, one that has lost its readers is ended by SIGPIPE. */
import { BrokenPipeError, type Output, Pipe } from "../../engine/program.ts";
import { Signal } from "../../scheduler/process.ts";

/** PIPE_BUF times 16: Linux's default capacity. */
const CAPACITY = 65536;

/** A pipe: its reading end, with the writing end in `input`. */
export class ShellPipe extends Pipe {
  readonly drained = new Signal();
  readonly input: Output;
  #held = 0;
  #broken = false;

  constructor() {
    super();
    const pipe = this;
    this.input = {
      write: (text) => this.#write(text),
      get full() {
        return pipe.#held >= CAPACITY && !pipe.#broken;
      },
      drained: this.drained,
    };
  }

  /** Nobody will read it any more. */
  breakOff(): void {
    this.#broken = true;
    this.drained.notify();
  }

  #write(text: string): void {
    if (this.#broken) throw new BrokenPipeError();
    if (text === "") return;
    this.#held += text.length;
    this.push(text);
  }

  override tryPop(): string | undefined {
    const text = super.tryPop();
    if (text === undefined) return undefined;
    this.#held -= text.length;
    if (this.#held < CAPACITY) this.drained.notify();
    return text;
  }
}

/** A pipe that holds a text and its end. */
export function pipeOf(text: string): Pipe {
  const pipe = new Pipe();
  if (text !== "") pipe.push(text);
  pipe.close();
  return pipe;
}
