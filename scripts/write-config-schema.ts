import { writeFileSync } from "node:fs";
import { configJsonSchema } from "#shared/config/config-json-schema.ts";

const file = new URL("../sluice.schema.json", import.meta.url);

/** Writes sluice.schema.json, which editors check sluice.yaml with. */
export function writeConfigSchema(): void {
  writeFileSync(file, configJsonSchema());
}

if (import.meta.main) writeConfigSchema();
