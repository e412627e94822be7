#!/bin/sh
# Install Chromium for the tests, from Debian, if it is missing and this is root; else say so.
set -eu
for name in chromium chromium-browser chrome; do
    command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Chromium is missing: tests that need it are skipped. Debian: apt-get install chromium" >&2
    exit 0
fi
echo "installing Chromium for the tests ..."
log=$(mktemp)
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; } >"$log" 2>&1 ||
    { tail -20 "$log" >&2; echo "Chromium could not be installed: tests that need it are skipped" >&2; }
rm -f "$log"
