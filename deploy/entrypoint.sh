#!/bin/sh
# What a container runs: `api`, `worker`, or a command of `tandem` (`migrate`, `worker --autoscale 0..4`, `doctor`, …).
# Whatever it is becomes process 1 itself, so that it hears the signals.
set -eu
# With options, `worker` is the command that runs several.
[ "${1:-}" != worker ] || [ $# -eq 1 ] || set -- tandem "$@"
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
