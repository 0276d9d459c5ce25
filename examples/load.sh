#!/usr/bin/env bash
# Loads the shop's day through the API and shows what Ada Lindqvist did.
#
#   ECRM_KEY=ecrm_sk_… examples/load.sh
#
# ECRM_URL  where the API answers (default http://127.0.0.1:8080)
# ECRM_KEY  a secret key that may write attribute definitions, organizations, channels, customers,
#           products, orders and touchpoints
#
# Running it twice is harmless: what is there already is left alone. Needs curl 7.82 and jq 1.6.
set -euo pipefail
cd "$(dirname "$0")"

api=${ECRM_URL:-http://127.0.0.1:8080}/v1
: "${ECRM_KEY:?set ECRM_KEY to a secret key (ecrm_sk_…)}"

# The key stays out of the process list; a busy server and a cut connection are tried again.
call() {
  curl --silent --show-error --retry 4 --retry-connrefused \
    --config <(printf 'header = "Authorization: Bearer %s"\n' "$ECRM_KEY") "$@"
}

# Reads the answers; says what was stored and fails where something was refused. 200 and 409 mean
# that it was there before. The variables are jq's.
# shellcheck disable=SC2016
tally='
  map(.results // [.]) | add
  | map(select((.status < 200 or .status > 299) and .status != 409)) as $refused
  | "\($name): \(map(select(.status == 201)) | length) stored, " +
    "\(map(select(.status == 200 or .status == 409)) | length) already there",
    if $refused == [] then empty else "refused: \($refused[:3])\n" | halt_error end'

# In batches of 1000, the most that the API takes at once.
load() {
  local from
  for ((from = 0; from < $(wc -l <"$1.ndjson"); from += 1000)); do
    jq --slurp --argjson from "$from" '{items: .[$from:$from + 1000]}' "$1.ndjson" |
      call --json @- "$api/$1/batch"
  done | jq --raw-output --slurp --arg name "$1" "$tally"
}

# What has no batch goes one by one.
load_one_by_one() {
  while read -r line; do
    call --json "$line" --output /dev/null --write-out '{"status": %{http_code}}' "$api/$1"
  done <"$1.ndjson" | jq --raw-output --slurp --arg name "$1" "$tally"
}

load_one_by_one attribute_definitions
load organizations
load channels
load customers
load products
load orders
load touchpoints

ada=$(call --fail "$api/customers/lookup?type=external&source=alpenglow&value=c-1001" | jq --raw-output .id)
printf '\nAda Lindqvist (%s) on 14 March 2026, latest first:\n' "$ada"
day='occurred_at_gte=2026-03-14T00:00:00Z&occurred_at_lt=2026-03-15T00:00:00Z'
call --fail "$api/customers/$ada/timeline?$day" | jq --raw-output '.data[]
  | (.content.subject // .content.text // .context.page.title // "") as $words
  | (.value | if . then "\(.amount / 100) \(.currency)" else "" end) as $value
  | "  \(.occurred_at[11:16])  \(.type)  \($words)\($value)"'
