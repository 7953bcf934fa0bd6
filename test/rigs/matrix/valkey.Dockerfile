# Valkey as Debian has it, for where the official image cannot be fetched. Also under the name that Redis' image has.
FROM node:24-trixie-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends valkey-server \
  && rm -rf /var/lib/apt/lists/* \
  && (command -v redis-server || ln -s "$(command -v valkey-server)" /usr/local/bin/redis-server)
EXPOSE 6379
CMD ["valkey-server", "--protected-mode", "no"]
