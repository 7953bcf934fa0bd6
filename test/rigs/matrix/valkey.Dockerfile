# Debian's Valkey, for machines that cannot fetch the official image. The program also has the name `redis-server`.
FROM node:24-trixie-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends valkey-server \
  && rm -rf /var/lib/apt/lists/* \
  && (command -v redis-server || ln -s "$(command -v valkey-server)" /usr/local/bin/redis-server)
EXPOSE 6379
CMD ["valkey-server", "--protected-mode", "no"]
