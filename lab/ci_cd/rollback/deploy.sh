#!/usr/bin/env bash
# Put an image in the place of the one that serves, or leave everything as it was: deploy.sh IMAGE
set -euo pipefail

image=$1
site=${SITE:-academy}    # the network, and the prefix of the containers
patience=${PATIENCE:-60} # seconds in which a release has to become healthy
watch=${WATCH:-10}       # seconds in which its page is watched after the switch
page=${PAGE:-http://127.0.0.1:8000/}
name=${NAME:-academy.example} # one of ALLOWED_HOSTS
options=(--network "$site" --env-file "${ENV_FILE:-/srv/academy/env}")

say() { echo "deploy: $*"; }

# --8<-- [start:point]
point() { # new requests go there; mv is atomic, so nobody reads half a list
  docker exec "$site-proxy" sh -c 'echo "$0:8000" >/tmp/next && mv /tmp/next /tmp/servers' "$1"
}
# --8<-- [end:point]

# --8<-- [start:back]
back() { # whatever ends this script early: the old release serves
  status=$?
  trap - EXIT
  point "$old"
  docker stop --timeout 35 "$new" >/dev/null 2>&1 || true # kept: docker logs
  say "FAILED, $old serves"
  exit "$((status ? status : 1))" # 0: a signal came between two commands
}
# --8<-- [end:back]

# --8<-- [start:start]
old=$(docker exec "$site-proxy" cat /tmp/servers)
old=${old%:*}
new=$site-blue
if [[ $old == "$new" ]]; then new=$site-green; fi
docker rm --force "$new" >/dev/null 2>&1 || true # the release before the last
trap back EXIT

say "migrate with $image"
docker run --rm "${options[@]}" "$image" python lab/manage.py migrate --no-input --verbosity 0
say "start $new beside $old"
docker run --detach --name "$new" "${options[@]}" "$image" >/dev/null
# --8<-- [end:start]

# --8<-- [start:wait]
what='{{if .State.Running}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}'
for ((second = 0; ; second++)); do
  state=$(docker inspect --format "$what" "$new") # starting, healthy, unhealthy, exited
  if [[ $state == healthy ]]; then break; fi
  if [[ $state == exited ]] || ((second == patience)); then
    say "$new is $state after $second s"
    exit 1
  fi
  sleep 1
done
# --8<-- [end:wait]

# --8<-- [start:switch]
say "$new is healthy: switch"
point "$new"
for ((second = 0; second < watch; second++)); do
  curl --fail --silent --show-error --output /dev/null --max-time 5 \
    --header "Host: $name" --header "X-Forwarded-Proto: https" "$page"
  sleep 1
done
docker update --restart unless-stopped "$new" >/dev/null
trap - EXIT # the new release stays
docker stop --timeout 35 "$old" >/dev/null # finishes what it has begun
say "done, $new serves"
# --8<-- [end:switch]
