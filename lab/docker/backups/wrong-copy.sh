#!/bin/sh
# wrong-copy.sh COMMAND: copy the files of a running server; the command runs in the middle of it.
set -eu
inside() { docker compose exec -T database "$@"; }
data=$(inside psql --username academy -Atc 'SHOW data_directory')
learners=$(inside psql --username academy -Atc "SELECT pg_relation_filepath('academy_learner')")

# --8<-- [start:wrong_copy]
inside tar --create --directory "$data" "$learners" >first.tar
"$@" # the academy is open meanwhile
inside tar --create --directory "$data" --exclude "$learners" . >rest.tar ||
  [ $? -eq 1 ] # 1: "file changed as we read it"
# --8<-- [end:wrong_copy]
