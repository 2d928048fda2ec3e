# One image for all processes; `command` chooses: gateway (as it is), worker, dispatcher, simulator; `npm run sluice` is the command line.
FROM node:26-slim

ENV NODE_ENV=production \
    SLUICE_HOST=0.0.0.0 \
    SLUICE_OPS_PORT=9090 \
    NODE_COMPILE_CACHE=/tmp/sluice-compiled
WORKDIR /srv/sluice

COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --no-audit --no-fund && npm cache clean --force

COPY proto ./proto
COPY shared ./shared
COPY services ./services
COPY cli ./cli

USER node
EXPOSE 8080 50051

# Ready, not merely alive: compose starts a process when those it needs can take calls.
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.SLUICE_OPS_PORT}/readyz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]

CMD ["node", "services/gateway/main.ts"]
