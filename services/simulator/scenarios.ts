import { MarkerError, words, type Scenario } from "./scenario.ts";

/** One call, as far as markers are chosen by it. */
interface MarkedCall {
  /** The texts of the last user turn and of the system prompt, where markers are looked for. */
  readonly text: string;
  readonly model: string;
  /** The key the call came with: simulated providers are told apart by it. */
  readonly apiKey: string;
}

export interface Scenarios {
  /** What the markers of a call ask for. Counts their uses. Throws MarkerError for a marker that cannot be read. */
  pick(call: MarkedCall): Scenario;
}

interface Marker {
  readonly source: string;
  readonly on: string | undefined;
  readonly times: number;
  readonly scenario: Scenario;
}

/** Uses of `times=` markers are remembered for so many different prompts. */
const rememberedMarkers = 10_000;

/** Markers are counted by this instance: one for each simulator. */
export function createScenarios(): Scenarios {
  const uses = new Map<string, number>();

  /** False once the marker has been used as often as it says. Counted per prompt, over all keys and models. */
  function takeUse(marker: Marker, text: string): boolean {
    if (marker.times === Infinity) return true;
    const key = `${marker.source}\n${text}`;
    const used = uses.get(key) ?? 0;
    if (used >= marker.times) return false;
    uses.set(key, used + 1);
    if (uses.size > rememberedMarkers) uses.delete(uses.keys().next().value as string);
    return true;
  }

  return {
    pick(call) {
      const scenario: Scenario = {};
      for (const marker of readMarkers(call.text, call.model))
        if (isMeant(marker.on, call.apiKey) && takeUse(marker, call.text)) Object.assign(scenario, marker.scenario);
      return scenario;
    },
  };
}

/** The model without its `@sim:…` suffix. */
export function plainModel(model: string): string {
  const at = model.indexOf("@sim:");
  return at < 0 ? model : model.slice(0, at);
}

/** A text without its markers, for the answer that repeats it. */
export function withoutMarkers(text: string): string {
  return text.includes("[sim:") ? text.replaceAll(/\s*\[sim:[^\]]*\]/g, "").trim() : text;
}

function readMarkers(text: string, model: string): Marker[] {
  const markers: Marker[] = [];
  const at = model.indexOf("@sim:");
  if (at >= 0) markers.push(readMarker(model.slice(at + 5).replaceAll(",", " ")));
  if (text.includes("[sim:"))
    for (const match of text.matchAll(/\[sim:([^\]]*)\]/g)) markers.push(readMarker(match[1] ?? ""));
  return markers;
}

function readMarker(source: string): Marker {
  const scenario: Scenario = {};
  let on: string | undefined;
  let times = Infinity;
  for (const match of source.matchAll(/([^\s=]+)(?:=(?:"([^"]*)"|(\S*)))?/g)) {
    const word = match[1] ?? "";
    const value = match[2] ?? match[3];
    if (word === "on") on = value;
    else if (word === "times") times = Number(value);
    else readWord(scenario, word, value);
  }
  return { source, on, times, scenario };
}

function readWord(scenario: Scenario, word: string, value: string | undefined): void {
  if (/^[2-9]\d\d$/.test(word)) scenario.status = Number(word);
  else if (/_error$|^request_too_large$/.test(word)) scenario.errorType = word;
  else {
    const setter = Object.hasOwn(words, word) ? words[word] : undefined;
    if (!setter) throw new MarkerError(`unknown word "${word}"`);
    try {
      setter(scenario, value);
    } catch (reason) {
      throw new MarkerError(`${word}: ${(reason as Error).message}`, { cause: reason });
    }
  }
}

/** `on=1` and `on=simulator` mean the key `sim-1`, `on=2` and `on=simulator-2` the key `sim-2`; else `on=` is a key. */
function isMeant(on: string | undefined, apiKey: string): boolean {
  if (on === undefined || on === apiKey) return true;
  const number = /^(?:simulator-)?(\d+)$/.exec(on)?.[1];
  return apiKey === (on === "simulator" ? "sim-1" : `sim-${number}`);
}
