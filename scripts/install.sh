#!/usr/bin/env bash
# Install what a command needs, once.
#
#   scripts/install.sh site      .venv with what builds and serves the site
#   scripts/install.sh lab       .venv with what the lab runs on
#   scripts/install.sh next      .venv-next: what the tests need, with the current Django release
#   scripts/install.sh tests     .venv with what the tests need, and the Node packages
#   scripts/install.sh graphene  graphene-django beside .venv: it cannot live with the lab's GraphQL
#   scripts/install.sh managers  .venv/managers: pip, Pipenv, Poetry and uv, apart from everything else
#   scripts/install.sh servers   MariaDB, RabbitMQ and wrk, if that asks nothing of anybody
#   scripts/install.sh system    MariaDB, RabbitMQ, wrk, and Chromium for the browser tests
#
# PYTHON names the interpreter for .venv (python3). Prints one line and fails if it cannot go on.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

fail() {
    echo "$*" >&2
    exit 1
}

# pip and npm are silent unless they fail.
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        fail "This command failed: $*"
    fi
    rm -f "$log"
}

make_venv() {
    local venv=$1 oldest=$2 who=Nexus
    if [ "$venv" != .venv ]; then who="make next"; fi
    command -v "$python" >/dev/null || fail "There is no $python. Install Python $oldest or newer, or name one: make serve PYTHON=python3.13"
    "$python" -c "import sys; sys.exit(sys.version_info < tuple(map(int, '$oldest'.split('.'))))" ||
        fail "$who needs Python $oldest or newer, and $python is $("$python" -V 2>&1 | cut -d' ' -f2). Name another: make serve PYTHON=python3.13"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "This Python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"
    "$python" -m venv --clear "$venv"
}

# The lock that a virtual environment was made from is kept in it: while the two are the same, there is nothing to do.
install_python() {
    local lock=$1 venv=${2:-.venv} oldest=${3:-3.11.5}
    local mark=$venv/installed-$lock
    if "$venv/bin/python" -c '' 2>/dev/null && cmp -s "$lock" "$mark"; then
        return
    fi
    "$venv/bin/python" -c '' 2>/dev/null || make_venv "$venv" "$oldest"
    echo "Installing $lock into $venv (once)"
    quietly "$venv/bin/python" -m pip install --require-hashes -r "$lock"
    cp "$lock" "$mark"
    # The tests' lock holds everything that the others hold.
    if [ "$lock" = requirements-dev.txt ]; then
        for part in requirements.txt requirements-lab.txt; do cp "$part" "$venv/installed-$part"; done
        rm -f "$venv/installed-requirements-next.txt" # it has brought the lab's Django back
    fi
}

# A folder for PYTHONPATH, so that this older library and what it needs stay out of the lab.
install_graphene() {
    local lock=requirements-graphene.txt folder=$1/graphene
    if cmp -s "$lock" "$folder/installed-$lock"; then
        return
    fi
    rm -rf "$folder"
    quietly "$1/bin/python" -m pip install --no-deps --require-hashes --target "$folder" -r "$lock"
    cp "$lock" "$folder/installed-$lock"
}

# Programs that tests start. Their own packages stay out of .venv.
install_managers() {
    local lock=requirements-managers.txt folder=.venv/managers
    if cmp -s "$lock" "$folder/installed-$lock"; then
        return
    fi
    .venv/bin/python -m venv --clear "$folder"
    quietly "$folder/bin/python" -m pip install --require-hashes -r "$lock"
    cp "$lock" "$folder/installed-$lock"
}

install_node() {
    local venv=${1:-.venv}
    if cmp -s package-lock.json node_modules/installed-package-lock.json; then
        return
    fi
    echo "Installing package-lock.json into node_modules (once)"
    quietly env PATH="$PWD/$venv/bin:$PATH" "$venv/bin/npm" ci --ignore-scripts --no-audit --no-fund
    cp package-lock.json node_modules/installed-package-lock.json
}

# scripts/browser.py says which browsers will do.
install_browser() {
    if .venv/bin/python -m scripts.browser >/dev/null; then
        return
    fi
    local run=()
    if [ "$(id -u)" -ne 0 ]; then
        # At a terminal sudo may ask for a password; elsewhere nobody could type one.
        { command -v sudo && { [ -t 0 ] || sudo -n true; }; } >/dev/null 2>&1 ||
            fail "The browser tests need Chromium, and this user cannot install it. Install the package chromium."
        run=(sudo)
    fi
    command -v apt-get >/dev/null || fail "The browser tests need Chromium. Install the package chromium, or Google Chrome."
    echo "Installing chromium (once)"
    quietly "${run[@]}" apt-get update -q
    # Ubuntu's package is a stub that needs snapd; Playwright's own build does without.
    if [ "$(sed -n "s/^ID=//p" /etc/os-release)" = ubuntu ]; then
        quietly "${run[@]}" env "PLAYWRIGHT_BROWSERS_PATH=${PLAYWRIGHT_BROWSERS_PATH:-$HOME/.cache/ms-playwright}" .venv/bin/playwright install --with-deps chromium
    else
        quietly "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium
    fi
}

# apt-get without a question: what needs a password, or another package to go, fails.
apt_get() {
    local run=(env DEBIAN_FRONTEND=noninteractive)
    local install=(apt-get install -y -q --no-remove --no-install-recommends "$@")
    if [ "$(id -u)" -ne 0 ]; then run=(sudo -n "${run[@]}"); fi
    { "${run[@]}" "${install[@]}" || { "${run[@]}" apt-get update -q && "${run[@]}" "${install[@]}"; }; } >/dev/null 2>&1
}

# The programs alone: these packages leave no server running. Tests that lack them are skipped and
# say so, so nobody is asked for a password and no other package has to go. TEST_MYSQL_URL names a
# server that runs already.
install_mariadb() {
    local packages=(mariadb-server-core mariadb-client-core)
    if [ -n "${TEST_MYSQL_URL:-}" ] ||
        (PATH+=:/usr/sbin:/usr/local/sbin:/usr/libexec && command -v mariadbd && command -v mariadb-install-db) >/dev/null; then
        return
    fi
    if apt_get "${packages[@]}"; then
        echo "Installed MariaDB (once)"
    else
        echo "There is no MariaDB: tests that need it will be skipped. To run them: apt-get install ${packages[*]}"
    fi
}

# This package starts a server, unless the machine forbids it, as containers do in policy-rc.d.
# TEST_RABBITMQ_URL names a server that runs already.
install_rabbitmq() {
    if [ -n "${TEST_RABBITMQ_URL:-}" ] || [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; then
        return
    fi
    if [ -x /usr/sbin/policy-rc.d ] && apt_get rabbitmq-server; then
        echo "Installed RabbitMQ (once)"
    else
        echo "There is no RabbitMQ: tests that need it will be skipped. To run them: apt-get install rabbitmq-server"
    fi
}

# The load generator of the measurements.
install_wrk() {
    if command -v wrk >/dev/null; then
        return
    fi
    if apt_get wrk; then
        echo "Installed wrk (once)"
    else
        echo "There is no wrk: tests that put a server under load will be skipped. To run them: apt-get install wrk"
    fi
}

for part in "$@"; do
    case $part in
    site) install_python requirements.txt ;;
    lab) install_python requirements-lab.txt ;;
    next)
        install_python requirements-dev.txt .venv-next 3.12
        install_python requirements-next.txt .venv-next
        install_node .venv-next
        install_graphene .venv-next
        ;;
    tests) install_python requirements-dev.txt && install_node ;;
    graphene) install_graphene .venv ;;
    managers) install_managers ;;
    system) install_browser && install_mariadb && install_rabbitmq && install_wrk ;;
    servers) install_mariadb && install_rabbitmq && install_wrk ;;
    *) fail "usage: scripts/install.sh [site] [lab] [tests] [next] [graphene] [managers] [servers] [system]" ;;
    esac
done
