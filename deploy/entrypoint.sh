#!/bin/sh
# What a container runs: `api`, `worker`, or a command of `tandem` (`migrate`, `adopt --config …`, `doctor`, …).
# Whatever it is becomes process 1 itself, so that it hears the signals.
set -eu
case ${1:-} in
  api | worker)
    program=$1
    shift
    exec node "/app/apps/$program/main.ts" "$@"
    ;;
  first-runs)
    shift
    exec node /app/deploy/first-runs.ts "$@"
    ;;
  tandem) shift ;;
esac
exec node /app/apps/cli/main.ts "$@"
