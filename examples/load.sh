#!/usr/bin/env bash
# Loads the shop's day through the API and shows what Ada Lindqvist did.
#
#   ECRM_KEY=ecrm_sk_… examples/load.sh
#
# ECRM_URL  where the API answers (default http://127.0.0.1:8080)
# ECRM_KEY  a secret key that may write customers, organizations, channels, touchpoints and
#           attribute definitions
#
# Running it twice is harmless: what is there already is left alone. Needs bash, curl and python3.
set -euo pipefail
cd "$(dirname "$0")"

url=${ECRM_URL:-http://127.0.0.1:8080}
: "${ECRM_KEY:?set ECRM_KEY to a secret key (ecrm_sk_…)}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The key stays out of the process list.
printf 'header = "Authorization: Bearer %s"\n' "$ECRM_KEY" >"$work/curl.conf"

# api METHOD PATH [BODY-FILE]: the answer goes to $work/answer, its status to stdout.
# The Idempotency-Key is the digest of path and body, so only the same request is the same request.
api() {
  local args=(--silent --show-error --config "$work/curl.conf" --request "$1"
    --output "$work/answer" --write-out '%{http_code}')
  if [[ $# -gt 2 ]]; then
    local digest
    digest=$(python3 -c 'import hashlib, sys
print(hashlib.sha256(sys.argv[1].encode() + open(sys.argv[2], "rb").read()).hexdigest())' "$2" "$3")
    # A cut connection and a busy server are worth another try; the key makes that safe.
    args+=(--retry 4 --retry-connrefused --header 'Content-Type: application/json'
      --header "Idempotency-Key: load-$digest" --data-binary "@$3")
  fi
  curl "${args[@]}" "$url$2"
}

# Cuts FILE into $work/part-0000 …: single lines, or batches that the API accepts
# (at most 1000 items, and bodies below 1 MiB).
cut_up() {
  rm -f "$work"/part-*
  python3 - "$1" "$2" "$work" <<'PYTHON'
import sys

name, how, work = sys.argv[1:]
with open(name, encoding="utf-8") as file:
    lines = [line.strip() for line in file if line.strip()]
parts, size = [[]], 0
for line in lines:
    length = len(line.encode()) + 1
    full = how == "single" or len(parts[-1]) == 1000 or size + length > 900_000
    if parts[-1] and full:
        parts.append([])
        size = 0
    parts[-1].append(line)
    size += length
for number, part in enumerate(filter(None, parts)):
    body = part[0] if how == "single" else '{"items":[' + ",".join(part) + "]}"
    with open(f"{work}/part-{number:04}", "w", encoding="utf-8") as out:
        out.write(body)
PYTHON
}

# Reads the answer to a batch: "<items> <already there> <failed>"; says on stderr what failed.
tally() {
  python3 - "$work/answer" <<'PYTHON'
import json, sys

with open(sys.argv[1], encoding="utf-8") as file:
    results = json.load(file)["results"]
known = failed = 0
for result in results:
    if result["status"] < 400:
        continue
    error = result.get("error") or {}
    if result["status"] == 409 and error.get("code", "already_exists") == "already_exists":
        known += 1
    else:
        failed += 1
        print(f"  item {result['index']}: {json.dumps(error)}", file=sys.stderr)
print(len(results), known, failed)
PYTHON
}

failures=0
report() { # NAME SENT KNOWN FAILED
  local already=''
  if [[ $3 -gt 0 ]]; then already=" ($3 already there)"; fi
  printf '%s: %d sent, %d failed%s\n' "$1" "$2" "$4" "$already"
  failures=$((failures + $4))
}

# One request for each line; 409 says that it is there already.
load_one_by_one() {
  local sent=0 known=0 failed=0 part status
  cut_up "$1.ndjson" single
  for part in "$work"/part-*; do
    status=$(api POST "/v1/$1" "$part")
    sent=$((sent + 1))
    case $status in
      2??) ;;
      409) known=$((known + 1)) ;;
      *)
        failed=$((failed + 1))
        echo "  $status $(cat "$work/answer")" >&2
        ;;
    esac
  done
  report "$1" "$sent" "$known" "$failed"
}

load_in_batches() {
  local sent=0 known=0 failed=0 part status items already bad counts
  cut_up "$1.ndjson" batch
  for part in "$work"/part-*; do
    status=$(api POST "/v1/$1/batch" "$part")
    if [[ $status != 207 ]]; then
      echo "$1: $status $(cat "$work/answer")" >&2
      exit 1
    fi
    counts=$(tally)
    read -r items already bad <<<"$counts"
    sent=$((sent + items)) known=$((known + already)) failed=$((failed + bad))
  done
  report "$1" "$sent" "$known" "$failed"
}

# GET PATH, or give up.
get() {
  local status
  status=$(api GET "$1")
  if [[ $status != 200 ]]; then
    echo "GET $1: $status $(cat "$work/answer")" >&2
    exit 1
  fi
}

show_hero() {
  local id
  get '/v1/customers/lookup?type=external&source=alpenglow&value=c-1001'
  id=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["id"])' "$work/answer")
  get "/v1/customers/$id/timeline?limit=12"
  printf '\nAda Lindqvist (%s), latest first:\n' "$id"
  python3 - "$work/answer" <<'PYTHON'
import json, sys

with open(sys.argv[1], encoding="utf-8") as file:
    touchpoints = json.load(file)["data"]
for touchpoint in touchpoints:
    content = touchpoint.get("content") or {}
    page = (touchpoint.get("context") or {}).get("page") or {}
    value = touchpoint.get("value")
    words = content.get("text") or content.get("subject") or page.get("title") or ""
    if value:
        words = f"{value['amount'] / 100:.2f} {value['currency']}"
    print(f"  {touchpoint['occurred_at'][:16]}Z  {touchpoint['type']:<18} {words.splitlines()[0] if words else ''}")
PYTHON
}

load_one_by_one attribute_definitions
load_in_batches organizations
load_in_batches channels
load_in_batches customers
load_in_batches touchpoints
if [[ $failures -gt 0 ]]; then
  exit 1
fi
show_hero
