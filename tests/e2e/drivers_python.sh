#!/bin/bash
# psycopg2 (Debian's python3-psycopg2): one program, direct and through, the same output.
. "$(dirname "$0")/lib.sh"
python3 -c 'import psycopg2' 2>/dev/null || skip "no python3-psycopg2"
start_postgres
start_pgsteer
program() { timeout 50 /usr/bin/python3 "$E2E/python_driver.py"; }
same 'psycopg2' program
contains 'psycopg2: it came to its end' 'done: True' "$(PGPORT=$PROXY_PORT program 2>&1)"
stop_pgsteer
start_pgsteer --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=4
same 'psycopg2, transaction pooling: nothing is left out' program
contains 'psycopg2, transaction pooling: it came to its end' 'done: True' "$(PGPORT=$PROXY_PORT program 2>&1)"
finish 4
