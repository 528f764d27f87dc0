#!/bin/bash
# The dashboard without a browser: its files are in the program, and everything its pages ask for is answered. With one: long/dashboard.sh.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "dashboard.sh: nothing to check without the proxy"; exit 0; }
command -v curl >/dev/null || skip "no curl"
start_postgres
HTTP_PORT=$(free_port)
start_pgsteer --set http.port="$HTTP_PORT"
url=http://127.0.0.1:$HTTP_PORT
proxied psql -X -q -o /dev/null -c 'select count(*) from pg_class'
page=$(curl -s -i "$url/")
case $page in *'Built without the dashboard'*) skip "built without npm or its registry" ;; esac
contains 'the page asks for nothing from elsewhere' "default-src 'self'" "$page"
for name in app.js app.css icon.svg; do
  contains "the page names $name" "/$name" "$page"
  head=$(curl -s -D - -o "$WORK/$name" "$url/$name")
  contains "$name is there" 'HTTP/1.1 200' "$head"
  tag=$(sed -n 's/^ETag: \(.*\)\r$/\1/p' <<<"$head")
  equal "$name is not sent twice" 304 "$(curl -s -o /dev/null -w '%{http_code}' -H "If-None-Match: $tag" "$url/$name")"
done
size=$(cat "$WORK/app.js" "$WORK/app.css" | gzip -9 | wc -c)
[ "$size" -le 60000 ] && pass "the page is small: $size bytes compressed" || fail "the page has grown to $size bytes compressed, wanted 60000"
sources=$E2E/../../proxy/dashboard/src
tables=$(grep -ohE "show\('[a-z_]+'" "$sources"/*.js "$sources"/pages/*.js | cut -d"'" -f2 | sort -u)
[ "$(wc -l <<<"$tables")" -ge 12 ] && pass "tables are asked for: $(wc -l <<<"$tables")" || fail "tables" "$tables"
for table in $tables; do equal "show/$table" 200 "$(curl -s -o /dev/null -w '%{http_code}' "$url/api/v1/show/$table")"; done
for _ in $(seq 50); do fingerprint=$(curl -s "$url/api/v1/queries" | grep -o '"fingerprint":"[0-9a-f]*"' | head -1 | cut -d'"' -f4); [ -n "$fingerprint" ] && break; sleep 0.2; done
for path in $(grep -ohP "(?<![.\w])(get|list|rows)\(['\`][a-z]+[^'\`\$]*" "$sources"/*.js "$sources"/pages/*.js | sed -E "s/^[a-z]+\(['\`]//" | sort -u); do
  case $path in statements/) path=statements/$fingerprint ;; *=) path=${path}100 ;; show/) continue ;; esac
  equal "$path" 200 "$(curl -s -o "$WORK/answer" -w '%{http_code}' "$url/api/v1/$path")"
done
finish 30
