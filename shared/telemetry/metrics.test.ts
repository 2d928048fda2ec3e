import { Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { createCallMetrics } from "./call-metrics.ts";
import { metricTable } from "./metric-table.ts";
import { createMetrics, metricName } from "./metrics.ts";

describe("the catalogue", () => {
  test.each(Object.entries(metricTable))("%s has our prefix, its kind's ending and a sentence of help", (key, row) => {
    const name = metricName(key);
    expect(name).toMatch(/^sluice_[a-z_]+$/);
    expect(name.endsWith("_total")).toBe(row.kind === "counter");
    expect(name.endsWith("_seconds")).toBe(row.kind === "histogram");
    expect(row.help).toMatch(/\.$/);
  });

  test("all of it can be scraped", async () => {
    const register = new Registry();
    createMetrics(register);
    const text = await register.metrics();
    for (const key of Object.keys(metricTable)) expect(text).toContain(`# HELP ${metricName(key)} `);
  });
});

describe("the metrics of a call", () => {
  test("they are the same object for the same labels", () => {
    const callMetrics = createCallMetrics(createMetrics(new Registry()));
    const labels = { operation: "messages", stream: true, model: "claude-opus-4-8" };
    expect(callMetrics({ ...labels })).toBe(callMetrics({ ...labels }));
    expect(callMetrics({ ...labels, stream: false })).not.toBe(callMetrics(labels));
    expect(callMetrics({ ...labels, model: "claude-opus-5" })).not.toBe(callMetrics(labels));
    expect(callMetrics({ ...labels, operation: "count_tokens" })).not.toBe(callMetrics(labels));
  });

  test("a call is counted, timed and no longer in flight", async () => {
    const register = new Registry();
    const call = createCallMetrics(createMetrics(register))({ operation: "messages", stream: true, model: "m" });
    call.began();
    call.began();
    call.firstContent(0.3);
    call.ended("ok", 2);
    const text = await register.metrics();
    expect(text).toContain('sluice_in_flight{operation="messages",stream="true"} 1');
    expect(text).toContain('sluice_calls_total{operation="messages",stream="true",model="m",code="ok"} 1');
    expect(text).toContain('sluice_call_seconds_sum{operation="messages",stream="true",model="m"} 2');
    expect(text).toContain('sluice_time_to_first_content_seconds_count{model="m"} 1');
  });
});
