#!/bin/sh
# Install RabbitMQ for the tests, from Debian, if it is missing and this is root; else say so.
# Nothing of it is started here: the tests start a node of their own.
set -eu
ls -d /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin >/dev/null 2>&1 && command -v epmd >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "RabbitMQ is missing: tests that need it are skipped. Debian: apt-get install rabbitmq-server" >&2
    exit 0
fi
echo "installing RabbitMQ for the tests ..."
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
log=$(mktemp)
{ apt-get update -qq && apt-get install -qq -y --no-install-recommends rabbitmq-server; } >"$log" 2>&1 ||
    { tail -20 "$log" >&2; echo "RabbitMQ could not be installed: tests that need it are skipped" >&2; }
rm -f "$log"
