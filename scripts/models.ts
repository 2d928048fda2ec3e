import { readBuiltinModels, readModelsFile } from "#shared/routing/builtin-models.ts";
import { checkModels } from "#shared/routing/check-models.ts";

/** `npm run models -- check`: what is wrong with shared/routing/models.yaml, then exit 1. */
function check(): void {
  const faults = checkModels(readModelsFile(), new Date().toISOString().slice(0, 10));
  for (const fault of faults) console.error(`models.yaml: ${fault}`);
  if (faults.length > 0) {
    process.exitCode = 1;
    return;
  }
  const models = [...readBuiltinModels()];
  const unpriced = models.filter(([, { prices = [] }]) => prices.length === 0).map(([name]) => name);
  console.log(`models.yaml: ${models.length} models, no fault`);
  if (unpriced.length > 0) console.log(`no price is known of ${unpriced.join(", ")}`);
}

if (process.argv[2] === "check") check();
else {
  console.error("usage: npm run models -- check");
  process.exitCode = 2;
}
