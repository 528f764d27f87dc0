#!/bin/bash
# Much data: COPY of 100 MB both ways with checksums, a statement and a row of 20 MB, a million small rows.
. "$(dirname "$0")/lib.sh"
start_postgres "max_wal_size = 4GB
wal_level = minimal
max_wal_senders = 0"
start_pgsteer
direct psql -X -q -v ON_ERROR_STOP=1 <<'SQL' || exit 1
create unlogged table wide as select i as id, repeat(md5(i::text), 6) as body from generate_series(1, 500000) i;
create unlogged table back (like wide);
SQL
SQL="copy wide to stdout"
want=$(direct psql -X -q -c "$SQL" | tee >(wc -c >"$WORK/size") | md5sum)
sleep 0.2
check 'the table is 100 MB or so' test "$(cat "$WORK/size")" -gt 90000000
start=$SECONDS
equal 'COPY out of 100 MB: checksum' "$want" "$(proxied psql -X -q -c "$SQL" | md5sum)"
echo "        $((SECONDS - start)) s"
direct psql -X -q -c "$SQL" >"$WORK/wide.copy"
start=$SECONDS
check 'COPY in of 100 MB' proxied psql -X -q -c "\\copy back from '$WORK/wide.copy'"
echo "        $((SECONDS - start)) s"
equal 'COPY in of 100 MB: checksum of what arrived' "$want" "$(direct psql -X -q -c 'copy back to stdout' | md5sum)"
binary() { psql -X -q -c 'copy (select id, body from wide order by id limit 20000) to stdout (format binary)' | md5sum; }
same 'COPY in binary format' binary
rm "$WORK/wide.copy"

python3 -c "print(\"select length('\" + 'x' * 20000000 + \"'), 1\")" >"$WORK/literal.sql"
literal() { psql -X -q -A -t -f "$WORK/literal.sql"; }
same 'a statement of 20 MB' literal
big_row() { psql -X -q -A -t -c "select repeat('abcdefghij', 2000000), 7" | md5sum; }
same 'a row of 20 MB' big_row
big_rows() { psql -X -q -A -t -c "select i, repeat(chr(97 + i), 5000000) from generate_series(1, 6) i" | md5sum; }
same 'six rows of 5 MB' big_rows
many() { psql -X -q -A -t -c "select i from generate_series(1, 1000000) i" | md5sum; }
same 'a million small rows' many
small_fetch() { psql -X -q -A -t -v FETCH_COUNT=5000 -c "select i from generate_series(1, 50000) i" | md5sum; }
same 'by a cursor' small_fetch
if [ -z "$DIRECT" ]; then
  rss=$(awk '/VmHWM/ {print $2}' "/proc/$PGSTEER_PID/status")
  check "pgsteer never held more than 200 MB (it was $((rss / 1024)) MB)" test "$rss" -lt 204800
fi
finish 8
