#!/usr/bin/env bash
# The step of action.yml: runs HEARTBEAT_RUN in bash under the guard of this repository's
# main.ts, by the Deno that npm has under that version.
set -euo pipefail

script=$(mktemp "${RUNNER_TEMP:-/tmp}/heartbeat-XXXXXX")
trap 'rm -f "$script"' EXIT
printf '%s\n' "$HEARTBEAT_RUN" >"$script"
limits=(
  --timeout "$HEARTBEAT_TIMEOUT"
  --runtime "$HEARTBEAT_RUNTIME"
  --retries "$HEARTBEAT_RETRIES"
)
main=$HEARTBEAT_HOME/main.ts
config=$HEARTBEAT_HOME/deno.json
# the script is no business of these
unset HEARTBEAT_RUN HEARTBEAT_TIMEOUT HEARTBEAT_RUNTIME HEARTBEAT_RETRIES HEARTBEAT_HOME

# bash as GitHub starts it for `shell: bash`
npx -y deno@2.9.6 run --quiet --config "$config" -A "$main" "${limits[@]}" -- \
  bash --noprofile --norc -eo pipefail "$script"
