#!/bin/bash
# Every scenario of ../scenario_table.py in both worlds, each fault four times as long, and 10000 idle clients. About ten minutes.
cd "$(dirname "$0")/.." || exit 1
export LONG=1
code=0
for script in scenarios scenarios_pooled scenarios_limits; do CROWD=${CROWD:-10000} bash ./$script.sh "$@" || code=1; done
exit $code
