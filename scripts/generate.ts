import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { configJsonSchema } from "#shared/config/config-json-schema.ts";
import { loaderOptions } from "#shared/rpc/loader-options.ts";
import { writeConfigSchema } from "./write-config-schema.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The loader's options as flags of proto-loader-gen-types: constructors by name, `true` as a bare flag. */
function loaderFlags(): string[] {
  return Object.entries(loaderOptions).map(([name, value]) =>
    typeof value === "function" ? `--${name}=${value.name}` : `--${name}`,
  );
}

function generateProtoTypes(): void {
  rmSync(`${root}/proto/gen`, { recursive: true, force: true });
  const fixed = ["--importFileExtension=.ts", "--grpcLib=@grpc/grpc-js", "--outDir=proto/gen", "--includeDirs=proto"];
  const schemas = ["worker/v1/worker.proto", "grpc/health/v1/health.proto"];
  execFileSync("proto-loader-gen-types", [...loaderFlags(), ...fixed, "--", ...schemas], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: `${root}/node_modules/.bin:${process.env["PATH"] ?? ""}` },
  });
}

generateProtoTypes();
writeFileSync(`${root}/sluice.schema.json`, configJsonSchema());
writeConfigSchema();
