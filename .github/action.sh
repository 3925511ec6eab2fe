#!/usr/bin/env bash
# The step of action.yml: runs HEARTBEAT_RUN in bash under the guard of this repository's
# main.ts, by the Deno that npm has under that version. All that it loads is pinned by
# deno.lock and comes from npm.
set -euo pipefail

if [[ -z "${HEARTBEAT_RUN//[[:space:]]/}" ]]; then
  echo "heartbeat: the input 'run' is empty: it is the script to run" >&2
  exit 2
fi
# GitHub empties this folder after the job
script=$(mktemp "${RUNNER_TEMP:-/tmp}/heartbeat-XXXXXX")
printf '%s\n' "$HEARTBEAT_RUN" >"$script"
deno=$(npx -y deno@2.9.6 eval --no-config -p 'Deno.execPath()')
guard=(
  --quiet
  --config "$HEARTBEAT_HOME/deno.json"
  --import-map "$HEARTBEAT_HOME/import_map.npm.json"
  --lock "$HEARTBEAT_HOME/deno.lock" --frozen
  --node-modules-dir=none
  -A "$HEARTBEAT_HOME/main.ts"
  --timeout="$HEARTBEAT_TIMEOUT"
  --runtime="$HEARTBEAT_RUNTIME"
  --retries="$HEARTBEAT_RETRIES"
)
# the script is no business of these
unset HEARTBEAT_RUN HEARTBEAT_TIMEOUT HEARTBEAT_RUNTIME HEARTBEAT_RETRIES HEARTBEAT_HOME

# bash as GitHub starts it for `shell: bash`. When the job is cancelled, the signals of
# the runner reach this process only: it becomes the guard, which passes them on.
exec "$deno" run "${guard[@]}" -- \
  bash --noprofile --norc -eo pipefail "$script"
