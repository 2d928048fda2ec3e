/** The least a gateway on Node can do: Fastify in, undici out, the bytes passed through. The yardstick of every ratio. */
import Fastify from "fastify";
import { Pool } from "undici";

const [port, upstreamUrl] = [Number(process.argv[2]), process.argv[3] ?? ""];
const pool = new Pool(upstreamUrl, { connections: 4096, pipelining: 1, headersTimeout: 600_000, bodyTimeout: 600_000 });
const app = Fastify({ logger: false, bodyLimit: 64 << 20 });
app.removeAllContentTypeParsers();
app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));

for (const url of ["/v1/messages", "/v1/messages/count_tokens"])
  app.post(url, (request, reply) => {
    reply.hijack();
    const response = reply.raw;
    pool
      .stream(
        {
          method: "POST",
          path: request.url,
          body: request.body as Buffer,
          opaque: response,
          headers: {
            "content-type": "application/json",
            "x-api-key": "upstream",
            "anthropic-version": "2023-06-01",
          },
        },
        ({ statusCode, headers }) => {
          const contentType = headers["content-type"];
          response.writeHead(statusCode, typeof contentType === "string" ? { "content-type": contentType } : {});
          return response;
        },
      )
      .catch(() => response.destroy());
  });

await app.listen({ port, host: "127.0.0.1", backlog: 4096 });
process.on("SIGTERM", () => process.exit(0));
