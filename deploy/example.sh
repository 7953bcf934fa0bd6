#!/bin/sh
# Loads the example shop's history into the database and adopts its config. A second run changes nothing.
set -eu
DATABASE_URL=$(cat "$DATABASE_URL_FILE") node /app/apps/shop/load-history-main.ts
exec node /app/apps/cli/main.ts adopt --config /app/apps/shop/tandem.config.ts
