import { expect, test } from "vitest";
import { readLocalOptions } from "./read-local-options.ts";

test("without arguments there is one of each and the data lie in .sluice", () => {
  expect(readLocalOptions([])).toEqual({
    port: undefined,
    workers: 1,
    dispatchers: 1,
    dataDir: ".sluice",
    allowDownload: true,
    help: false,
  });
});

test("every option is read", () => {
  const args = ["--port", "9000", "--workers=3", "--dispatchers", "2", "--data", "/tmp/x", "--no-download", "-h"];
  expect(readLocalOptions(args)).toEqual({
    port: 9000,
    workers: 3,
    dispatchers: 2,
    dataDir: "/tmp/x",
    allowDownload: false,
    help: true,
  });
});

test.each([
  [["--workers", "0"], /--workers takes a whole number from 1 to 64, not "0"/],
  [["--port", "eighty"], /--port takes a whole number from 1 to 65535, not "eighty"/],
  [["--prot", "80"], /^there is no option --prot \(did you mean `--port`\?\)\. See npm start -- --help$/],
  [["--frobnicate"], /^there is no option --frobnicate\. See npm start -- --help$/],
  [["--dispatcher=2"], /^there is no option --dispatcher \(did you mean `--dispatchers`\?\)/],
  [["extra"], /"extra".*See npm start -- --help$/],
  [["--port"], /--port.*See npm start -- --help$/],
])("%j is refused in words", (args, message) => {
  expect(() => readLocalOptions(args)).toThrow(message);
});
