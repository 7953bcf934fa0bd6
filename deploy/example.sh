#!/bin/sh
# Gives the database the example shop's history and adopts its config; a second time nothing changes.
set -eu
DATABASE_URL=$(cat "$DATABASE_URL_FILE") node /app/apps/shop/load-history-main.ts
exec node /app/apps/cli/main.ts adopt --config /app/apps/shop/tandem.config.ts
