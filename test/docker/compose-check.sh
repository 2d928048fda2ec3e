#!/usr/bin/env bash
# compose-check.sh: tries docker-compose.yml for real. Needs Docker, compose (the plugin or docker-compose), curl.
#
#   1. builds the image and brings everything up without any configuration
#   2. makes a call, and a streamed one
#   3. has the command line of the image run a batch, read its results, show limits and make a key
#   4. scales to three workers: within 15 s all three are called
#   5. stops a worker while 80 calls run: every call ends well
#
# Leaves nothing running. KEEP=1 leaves everything as it is; SLUICE_PORT chooses the port (18080).
set -euo pipefail
cd "$(dirname "$0")/../.."

export COMPOSE_PROJECT_NAME=sluice-check SLUICE_PORT=${SLUICE_PORT:-18080} SLUICE_KEY=sluice-demo-key
export url=http://127.0.0.1:$SLUICE_PORT
export results
results=$(mktemp -d)

say() { printf '\n== %s\n' "$*"; }
fail() {
  echo "FAILED: $*" >&2
  compose ps >&2 || true
  compose logs --tail=30 >&2 || true
  exit 1
}
compose() {
  if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi
}
finish() {
  rm -rf "$results"
  [[ ${KEEP:-} ]] || compose down --volumes --timeout 20 >/dev/null 2>&1 ||
    echo "compose down failed: docker ps --filter label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" >&2
}
trap finish EXIT

# send NAME STREAM PROMPT: one call; keeps the answer in $results/NAME and its status in $results/NAME.status
send() {
  curl --silent --show-error --max-time 120 --output "$results/$1" --write-out '%{http_code}' "$url/v1/messages" \
    -H "x-api-key: $SLUICE_KEY" -H 'content-type: application/json' \
    -d "{\"model\":\"claude-opus-4-8\",\"max_tokens\":1024,\"stream\":$2,\"messages\":[{\"role\":\"user\",\"content\":\"$3\"}]}" \
    >"$results/$1.status" || true
}
export -f send

# ended_well NAME: whether the call got its whole answer
ended_well() {
  [[ $(<"$results/$1.status") == 200 ]] || return 1
  if [[ $1 == stream-* ]]; then grep -q '^event: message_stop' "$results/$1"; else grep -q '"stop_reason":"' "$results/$1"; fi
}

# attempts CONTAINER: how many times this worker has called a provider
attempts() {
  docker exec "$1" node -e "fetch('http://127.0.0.1:' + process.env.SLUICE_OPS_PORT + '/metrics').then((r) => r.text()).then((text) =>
    console.log([...text.matchAll(/^sluice_attempts_total\\{.*\\} (\\d+)/gm)].reduce((sum, match) => sum + Number(match[1]), 0)))"
}

wait_healthy() { # wait_healthy SERVICE COUNT SECONDS
  local until=$((SECONDS + $3)) ids
  while ((SECONDS < until)); do
    ids=$(compose ps -q "$1")
    if [[ $(wc -w <<<"$ids") == "$2" ]] &&
      [[ $(docker inspect -f '{{.State.Health.Status}}' $ids | grep -c '^healthy$') == "$2" ]]; then return; fi
    sleep 0.5
  done
  fail "$1 is not healthy after $3 s"
}

say "building"
compose build --quiet

say "starting"
compose up -d
wait_healthy gateway 1 90

say "one call of each kind"
send whole-first false 'Hello'
send stream-first true 'Hello'
for name in whole-first stream-first; do
  ended_well $name || fail "$name: $(cat "$results/$name.status" "$results/$name")"
done
head -c 300 "$results/whole-first"
echo

# sluice WORDS: the command line, within the gateway's container
sluice() { compose exec -T gateway npm run -s sluice -- "$@"; }

say "the command line"
printf '{"custom_id":"%s","prompt":"Hello"}\n' first second |
  sluice batch submit - --model claude-opus-4-8 --max-tokens 100 >"$results/batch" || fail "batch submit"
[[ $(<"$results/batch") == msgbatch_* ]] || fail "batch submit printed $(<"$results/batch")"
sluice batch results "$(<"$results/batch")" >"$results/lines" || fail "batch results"
[[ $(grep -c '"type":"succeeded"' "$results/lines") == 2 ]] || fail "results: $(<"$results/lines")"
sluice limits | grep 'claude-opus-4-8' || fail "limits"
[[ $(sluice keys add laptop 2>/dev/null) == sk-sluice-* ]] || fail "keys add"
if sluice batch results msgbatch_nobody 2>/dev/null; then fail "an unknown batch is no failure"; fi

say "three workers"
compose up -d --no-recreate --scale worker=3
scaled_at=$SECONDS
workers=$(compose ps -q worker)
while :; do
  # At once, so that there is something to spread.
  seq 1 12 | xargs -P 12 -I{} bash -c 'send whole-spread-{} false "Hello {}"'
  idle=0
  for worker in $workers; do [[ $(attempts "$worker" 2>/dev/null || echo 0) == [1-9]* ]] || idle=$((idle + 1)); done
  ((idle == 0)) && break
  ((SECONDS - scaled_at < 15)) || fail "after 15 s $idle of 3 workers were never called"
done
echo "all three are called after $((SECONDS - scaled_at)) s"

say "one worker leaves while calls run"
slow='[sim: tokens=160 rate=20] Count {}'
seq 1 40 | xargs -P 40 -I{} bash -c "send stream-load-{} true '$slow'" &
streams=$!
seq 1 40 | xargs -P 40 -I{} bash -c "send whole-load-{} false '$slow'" &
wholes=$!
sleep 3
stop_began=$SECONDS
docker stop --time 620 "$(head -1 <<<"$workers")" >/dev/null
echo "it left after $((SECONDS - stop_began)) s"
wait $streams $wholes
lost=0
for number in $(seq 1 40); do
  for kind in stream whole; do
    if ! ended_well "$kind-load-$number"; then
      lost=$((lost + 1))
      echo "$kind-load-$number: $(head -c 300 "$results/$kind-load-$number.status" "$results/$kind-load-$number")" >&2
    fi
  done
done
((lost == 0)) || fail "$lost of 80 calls were lost"
[[ $(docker inspect -f '{{.State.ExitCode}}' "$(head -1 <<<"$workers")") == 0 ]] || fail "the worker did not leave with 0"

say "all good"
