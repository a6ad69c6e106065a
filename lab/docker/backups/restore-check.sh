#!/usr/bin/env bash
# Restore a dump into a server that nobody uses, and ask it what is there.
#
#   restore-check.sh academy.dump    prints how many learners it holds; fails if it holds none
# --8<-- [start:check]
set -euo pipefail
dump=$1
name=restore-check-$$

trap 'docker rm --force --volumes "$name" >/dev/null' EXIT
docker run --detach --name "$name" --network none \
    --env POSTGRES_PASSWORD=nobody-reaches-it \
    --health-cmd 'pg_isready --host 127.0.0.1' --health-interval 1s \
    postgres:18 >/dev/null

for _ in {1..60}; do
    [ "$(docker inspect --format '{{.State.Health.Status}}' "$name")" = healthy ] && break
    sleep 1
done

docker exec --interactive "$name" \
    pg_restore --username postgres --dbname postgres \
    --no-owner --no-privileges --exit-on-error <"$dump"
learners=$(docker exec "$name" psql --username postgres --tuples-only --no-align \
    --command 'SELECT count(*) FROM academy_learner')
echo "$learners learners"
[ "$learners" -gt 0 ]
# --8<-- [end:check]
