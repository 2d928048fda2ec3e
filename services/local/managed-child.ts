import { spawn, type ChildProcessByStdio } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** A program that is kept running. */
export interface ChildSpec {
  /** As shown before each of its lines. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Asked again and again after each start; empty once it is ready, else what it still lacks. */
  lacks(): Promise<string>;
}

export interface ChildEvents {
  /** A line of its output, either stream. */
  readonly onLine: (name: string, line: string) => void;
  /** Something the person at the screen should know. */
  readonly say: (line: string) => void;
  /** It was started, or ended (undefined). */
  readonly onPid: (name: string, pid: number | undefined) => void;
}

/** It ended this often in a row without ever having been ready: starting it again would not help. */
const hopelessAfter = 3;
const firstBackoffMs = 250;
const longestBackoffMs = 10_000;
/** Having run this long, its next end is a new story. */
const forgivenAfterMs = 30_000;
const pollMs = 50;

/**
 * One child process and its restarts. States: starting → ready → waiting (ended, to be started again) → starting …;
 * stopping → stopped from any of them; hopeless when it never became ready.
 */
export class ManagedChild {
  readonly spec: ChildSpec;
  readonly #events: ChildEvents;
  readonly #ready = Promise.withResolvers<void>();
  #state: "idle" | "starting" | "ready" | "waiting" | "stopping" | "stopped" | "hopeless" = "idle";
  #process: ChildProcessByStdio<Writable, Readable, Readable> | undefined;
  #ended: Promise<void> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #wasReady = false;
  #failures = 0;

  constructor(spec: ChildSpec, events: ChildEvents) {
    this.spec = spec;
    this.#events = events;
    this.#ready.promise.catch(() => undefined);
  }

  /** Resolves when it is ready for the first time; rejects when it never will be. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  start(): void {
    if (this.#state !== "idle" && this.#state !== "waiting") return;
    this.#state = "starting";
    this.#startedAt = Date.now();
    const { command, args, env, stdin } = this.spec;
    // A group of its own: Ctrl-C reaches the whole foreground group, but the children end in our order.
    const child = spawn(command, args, { env: { ...env }, stdio: ["pipe", "pipe", "pipe"], detached: true });
    this.#process = child;
    this.#ended = new Promise((resolve) => {
      child.once("error", (error) => {
        this.#events.say(`${this.spec.name} cannot be started: ${error.message}`);
        if (child.pid === undefined) this.#onEnd("not started", resolve);
      });
      child.once("close", (code, signal) => this.#onEnd(signal ?? `code ${code}`, resolve));
    });
    if (child.pid !== undefined) this.#events.onPid(this.spec.name, child.pid);
    child.stdin.on("error", () => undefined);
    child.stdin.end(stdin ?? "");
    for (const output of [child.stdout, child.stderr])
      createInterface({ input: output }).on("line", (line) => this.#events.onLine(this.spec.name, line));
    void this.#watch(child);
  }

  /** Asks it to end, and ends it after `limitMs`. Resolves when it is gone, for good. */
  async stop(limitMs: number): Promise<void> {
    if (this.#state === "waiting" || this.#state === "idle") this.#state = "stopped";
    clearTimeout(this.#restart);
    if (this.#state === "stopped" || this.#state === "hopeless") return;
    this.#state = "stopping";
    this.#signal("SIGTERM");
    const limit = setTimeout(() => {
      this.#events.say(`${this.spec.name} did not end in ${limitMs / 1000} s and is killed`);
      this.kill();
    }, limitMs);
    await this.#ended;
    clearTimeout(limit);
    this.#state = "stopped";
  }

  /** Hands a signal on, once it is ready: earlier it might die of it. */
  pass(signal: NodeJS.Signals): void {
    if (this.#state === "ready") this.#signal(signal);
  }

  /** Ends it at once, with everything it started. */
  kill(): void {
    if (this.#state !== "stopped" && this.#state !== "hopeless") this.#state = "stopping";
    clearTimeout(this.#restart);
    this.#signal("SIGKILL");
  }

  #signal(signal: NodeJS.Signals): void {
    const pid = this.#process?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // It has ended already.
    }
  }

  async #watch(child: unknown): Promise<void> {
    while (this.#state === "starting" && this.#process === child) {
      const lacks = await this.spec.lacks();
      if (lacks === "" && this.#state === "starting" && this.#process === child) {
        this.#state = "ready";
        if (this.#wasReady) this.#events.say(`${this.spec.name} is back`);
        this.#wasReady = true;
        this.#ready.resolve();
        return;
      }
      await new Promise((wake) => setTimeout(wake, pollMs));
    }
  }

  #onEnd(how: string, resolve: () => void): void {
    this.#process = undefined;
    this.#events.onPid(this.spec.name, undefined);
    resolve();
    if (this.#state !== "starting" && this.#state !== "ready") return;
    this.#failures = Date.now() - this.#startedAt > forgivenAfterMs ? 1 : this.#failures + 1;
    if (!this.#wasReady && this.#failures >= hopelessAfter) {
      this.#state = "hopeless";
      this.#ready.reject(new Error(`${this.spec.name} ended ${hopelessAfter} times before it was ready (${how})`));
      return;
    }
    this.#state = "waiting";
    const waitMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** (this.#failures - 1));
    this.#events.say(`${this.spec.name} ended (${how}), starting it again in ${waitMs / 1000} s`);
    this.#restart = setTimeout(() => this.start(), waitMs);
  }
}
