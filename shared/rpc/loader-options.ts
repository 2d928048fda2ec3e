/**
 * How proto-loader reads the schema. `scripts/generate.ts` turns the same object into the generator's flags, so the
 * types in `proto/gen` describe what the loader returns.
 */
export const loaderOptions = {
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
} as const;
