#!/bin/sh
# Runs a container's program: `api`, `worker`, or a command of `tandem` (`migrate`, `worker --autoscale 0..4`, `doctor`, …).
# The program becomes process 1 and therefore receives the signals.
set -eu
# With options, `worker` is the command `tandem worker`, which runs several workers.
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
