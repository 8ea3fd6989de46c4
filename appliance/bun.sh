#!/bin/sh
# Runs the project's own Bun with the arguments given; needs only git's tree and Node's npm. Installs the pinned packages
# first when they are missing or the lock file has changed. Writes nothing but node_modules.
set -eu
cd "$(dirname "$0")/.."
bun=node_modules/.bin/bun
installed=node_modules/.installed.lock
if [ ! -x "$bun" ] || ! cmp -s bun.lock "$installed"; then
  version=$(sed -n 's/^ *"bun": "\([0-9.]*\)".*/\1/p' package.json)
  echo "Installing the pinned packages (Bun $version from npm) …" >&2
  if [ -x "$bun" ] && [ "$("$bun" --version)" = "$version" ]; then
    "$bun" install --frozen-lockfile >&2
  else
    npx --yes "bun@$version" install --frozen-lockfile >&2
  fi
  cp bun.lock "$installed"
fi
exec "$bun" "$@"
