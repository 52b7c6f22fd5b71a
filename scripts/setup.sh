#!/bin/sh
# Makes a checkout ready to run: installs what the lock file names, then builds. Does nothing when
# all is fresh. Two at the same time do not collide: the second waits for the first.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd -P)
cache=$root/.cache
lock=$cache/setup.lock

say() { echo "selfheal: $*" >&2; }

needs_install() {
  [ ! -e "$root/node_modules/.package-lock.json" ] ||
    [ -n "$(find "$root/package-lock.json" -newer "$root/node_modules/.package-lock.json")" ]
}

needs_build() {
  [ ! -e "$root/dist/.stamp" ] ||
    [ -n "$(find "$root/src" "$root/tsconfig.json" "$root/tsconfig.build.json" -newer "$root/dist/.stamp")" ]
}

check_node() {
  if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
    say "Node.js 20.19 or newer is needed; this is $(node --version) at $(command -v node)"
    exit 2
  fi
  if ! command -v npm >/dev/null 2>&1; then
    say 'npm is needed for the first set-up and was not found; it comes with Node.js'
    exit 2
  fi
}

# The lock is a folder with the holder's process id. A holder that is gone, or that never wrote its id, has lost it.
take_lock() {
  mkdir -p "$cache" 2>/dev/null || { say "cannot write to $root: set it up once as a user who may"; exit 2; }
  waited=0
  until mkdir "$lock" 2>/dev/null; do
    holder=$(cat "$lock/pid" 2>/dev/null || echo '')
    if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then rm -rf "$lock"; continue; fi
    if [ -z "$holder" ] && [ "$waited" -ge 10 ]; then rm -rf "$lock"; continue; fi
    [ "$waited" -eq 0 ] && say 'another process is setting selfheal up; waiting for it'
    waited=$((waited + 1))
    sleep 1
  done
  echo $$ >"$lock/pid"
  trap 'rm -rf "$lock"' EXIT
  trap 'exit 130' INT TERM HUP
}

quietly() {
  "$@" >"$cache/setup.log" 2>&1 || {
    status=$?
    tail -n 40 "$cache/setup.log" >&2
    say "set-up failed at: $*  (all of it: $cache/setup.log)"
    exit "$([ "$status" -gt 2 ] && echo "$status" || echo 2)"
  }
}

needs_install || needs_build || exit 0
check_node
take_lock
cd "$root"
if needs_install; then
  say 'first use: installing and building, this takes about a minute ...'
  # Not `npm ci`: it refuses a lock file without the binaries of other platforms, which not every registry serves.
  quietly npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
  mkdir -p "$root/node_modules"
  touch "$root/node_modules/.package-lock.json"
elif needs_build; then
  say 'the sources have changed: building ...'
fi
if needs_build; then quietly node scripts/build.mjs --quiet; fi
