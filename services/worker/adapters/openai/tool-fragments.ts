import type { MessageEvents } from "../translate/message-events.ts";
import { isFields, type Fields } from "../translate/reading.ts";
import { argumentsText } from "./chat-end.ts";
import { callerToolId, callerToolName, type ToolIdSource } from "./tool-names.ts";

interface Call {
  /** Position among the calls of the answer, which is its key. */
  readonly position: number;
  readonly index: unknown;
  id: string;
  name: string;
  started: boolean;
  /** Arguments that came before the name. */
  early: string;
}

/**
 * Puts the fragments of tool calls together. By the book they carry an index, the first one id and name; servers also
 * repeat both, leave the index out, give every call the same one, send empty ids later, or a name in pieces. A call is
 * therefore started with its first arguments, when its name is whole.
 */
export class ToolFragments {
  readonly #source: ToolIdSource;
  readonly #events: MessageEvents;
  readonly #calls: Call[] = [];

  constructor(source: ToolIdSource, events: MessageEvents) {
    this.#source = source;
    this.#events = events;
  }

  /** @returns bytes of arguments. */
  read(fragment: Fields): number {
    const fn = isFields(fragment["function"]) ? fragment["function"] : {};
    const id = typeof fragment["id"] === "string" ? fragment["id"] : "";
    const name = typeof fn["name"] === "string" ? fn["name"] : "";
    const args = argumentsText(fn["arguments"]);
    const call = this.#find(fragment["index"], id, name) ?? this.#add(fragment["index"]);
    if (!call.started) {
      if (id !== "") call.id = id;
      if (name !== call.name) call.name += name;
    }
    if (args === "") return 0;
    this.startAll();
    if (call.started) this.#events.toolArgs(call.position, args);
    else call.early += args;
    return args.length;
  }

  /** Whatever comes next, names are whole now. */
  startAll(): void {
    for (const call of this.#calls) {
      if (call.started || call.name === "") continue;
      call.started = true;
      const isTaken = this.#calls.some(({ id, position }) => id === call.id && position < call.position);
      const id = callerToolId(isTaken ? "" : call.id, call.position, this.#source);
      this.#events.toolStart({ key: call.position, id, name: callerToolName(call.name, this.#source.body) });
      this.#events.toolArgs(call.position, call.early);
    }
  }

  #find(index: unknown, id: string, name: string): Call | undefined {
    const call = index === undefined || index === null ? this.#byId(id, name) : this.#byIndex(index);
    // One index for several calls: a new id with a name is a new call.
    const isOther = call !== undefined && id !== "" && call.id !== "" && id !== call.id && name !== "";
    return isOther ? this.#calls.findLast((known) => known.id === id) : call;
  }

  #byIndex(index: unknown): Call | undefined {
    return this.#calls.findLast((call) => call.index === index);
  }

  #byId(id: string, name: string): Call | undefined {
    if (id !== "") return this.#calls.find((call) => call.id === id);
    const last = this.#calls.at(-1);
    return last?.started === true && name !== "" ? undefined : last;
  }

  #add(index: unknown): Call {
    const call: Call = { position: this.#calls.length, index, id: "", name: "", started: false, early: "" };
    this.#calls.push(call);
    return call;
  }
}
