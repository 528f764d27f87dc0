#!/bin/bash
# auth.query: users that auth.file does not have are looked up at the server: right and wrong passwords, users that come, change and go,
# VALID UNTIL, what a client's startup packet may not do, and that nobody can tell who exists by the shape of a refusal.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to compare with'
start_postgres 'password_encryption = scram-sha-256' 'local all all trust
host all postgres 127.0.0.1/32 trust
host all old 127.0.0.1/32 md5
host all all 127.0.0.1/32 scram-sha-256'
direct psql -X -q -v ON_ERROR_STOP=1 <<'SQL' || exit 1
create role keeper login superuser password 'keeper word';
create role app login password 'app word';
create role gone login password 'gone word' valid until '2000-01-01';
create role soon login password 'soon word' valid until 'infinity';
create role listed login password 'listed word' valid until '2000-01-01';
create role nologin password 'nologin word';
create role empty login;
set password_encryption = 'md5';
create role old login password 'old word';
-- whoever could make the query read this would be let in with 'evil word'
create schema evil;
create view evil.pg_shadow as select 'app'::name as usename, 'evil word'::text as passwd, null::timestamptz as valuntil;
create function evil.evilname(name, name) returns boolean language sql as 'select true';
grant all on schema evil to public;
grant select on evil.pg_shadow to public;
alter role keeper set search_path = evil, pg_catalog;
SQL
printf '"keeper" "keeper word"\n"listed" "listed word"\n"shut" ""\n' >"$WORK/users"
chmod 600 "$WORK/users"
query=(--set auth.mode=terminate --set pool.mode=transaction --set "auth.file=$WORK/users" --set auth.query_user=keeper)
login() { # user password [words]
  PGPASSWORD=$2 psql -XAtw "host=127.0.0.1 port=$PROXY_PORT user=$1 dbname=postgres ${3:-}" -c 'select current_user' 2>&1
}
refused() { contains "$1" "password authentication failed for user \"$2\"" "$(login "$2" "$3" "${4:-}")"; }
start_pgsteer "${query[@]}" --set auth.query_cache=1h

equal 'a user of the server' app "$(login app 'app word')"
equal 'again, from memory' app "$(login app 'app word')"
equal 'a user of auth.file' keeper "$(login keeper 'keeper word')"
refused 'a wrong password' app wrong
refused 'nobody' stranger x
refused 'a role without a password' empty x
refused 'a role that may not log in' nologin 'nologin word'
refused 'VALID UNTIL is over' gone 'gone word'
refused 'VALID UNTIL of a user in auth.file, too' listed 'listed word'
refused 'an empty secret in auth.file lets nobody in' shut x
refused 'a name longer than a role can have' "$(printf 'x%.0s' $(seq 70))" x
refused 'a name that is no UTF-8' $'caf\xe9' x
equal 'VALID UNTIL infinity' soon "$(login soon 'soon word')"

# Passwords that change. The first login with the new one finds the old one in memory and fails; it has the server asked again.
sleep 1.1  # what was asked for a moment ago is not asked for again
direct psql -X -q -c "alter role app password 'new word'"
refused 'a rotated password: the first login' app 'new word'
equal 'and the second' app "$(login app 'new word')"
refused 'the old one is of no use' app 'app word'
direct psql -X -q -c "create role stranger login password 'known now'"
refused 'a user that has just been made is unknown a last time' stranger 'known now'
equal 'and let in then' stranger "$(login stranger 'known now')"
direct psql -X -q -c "alter role soon valid until '2001-01-01'"
equal 'RELOAD forgets what was known' RELOAD "$(console reload)"
refused 'a password that has ended since' soon 'soon word'
direct psql -X -q -c 'drop role stranger'
console reload >/dev/null
refused 'a user that was dropped' stranger 'known now'

# A client's own settings are of its session, never of the query's.
for words in "options='-c search_path=evil,pg_catalog'" "options='-csearch_path=evil'" "options='--search_path=evil'"; do
  refused "$words does not reach the query" app 'evil word' "$words"
  equal "$words is the session's" app "$(login app 'new word' "$words")"
done
python3 - "$E2E" "$PROXY_PORT" <<'PY' && pass 'search_path in the startup packet does not either' || fail 'search_path in the startup packet'
import sys
sys.path.insert(0, sys.argv[1])
from wire import Wire, fields
w = Wire(int(sys.argv[2]))
w.startup(user="app", search_path="evil", role="keeper")
kind, body = w.receive()
sys.exit(0 if kind == b"R" and body[:4] == b"\0\0\0\n" else 1)
PY
stop_pgsteer
start_pgsteer "${query[@]}" --set 'auth.query=select usename, passwd from pg_shadow where usename = $1'
refused 'a query that trusts in search_path is given the system catalog' app 'evil word'
equal 'and answered by it' app "$(login app 'new word')"

# Shapes: the messages of every refusal are the same, and so is the salt of one name at each attempt.
shapes() {
  python3 - "$E2E" "$PROXY_PORT" "$@" <<'PY'
import base64, struct, sys
sys.path.insert(0, sys.argv[1])
from wire import Wire, fields
for user in sys.argv[3:]:
    salts = []
    for attempt in range(2):
        w = Wire(int(sys.argv[2]))
        w.startup(user=user)
        seen = []
        kind, body = w.receive()
        seen.append((kind, body))
        first = b"n,,n=,r=abcdefghijklmnopqrstuvwx"
        w.message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first)
        kind, body = w.receive()
        parts = dict(p.split("=", 1) for p in body[4:].decode().split(","))
        salts.append((parts["s"], parts["i"]))
        seen.append((kind, body[:4], len(body), len(base64.b64decode(parts["s"])), parts["i"]))
        w.message(b"p", ("c=biws,r=" + parts["r"] + ",p=" + base64.b64encode(b"x" * 32).decode()).encode())
        kind, body = w.receive()
        f = fields(body)
        seen.append((kind, f["S"], f["C"], f["M"].replace(user, "USER")))
    print(seen, "same salt" if salts[0] == salts[1] else "another salt")
PY
}
first=$(shapes app)
contains 'a wrong password ends in 28P01' "28P01" "$first"
for user in stranger empty gone nologin shut keeper old listed; do equal "$user: the same messages as a wrong password, a salt that stays" "$first" "$(shapes $user)"; done
salt() { shapes_salt=$(python3 - "$E2E" "$PROXY_PORT" "$1" <<'PY'
import struct, sys
sys.path.insert(0, sys.argv[1])
from wire import Wire
w = Wire(int(sys.argv[2]))
w.startup(user=sys.argv[3])
w.receive()
first = b"n,,n=,r=abcdefghijklmnopqrstuvwx"
w.message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first)
print(w.receive()[1][4:].decode().split(",")[1])
PY
); echo "$shapes_salt"; }
before=$(salt stranger)
[ "$before" != "$(salt stranger2)" ] && pass 'each name has its own' || fail 'two names have one salt' "$before"
stop_pgsteer
start_pgsteer "${query[@]}"
equal 'and keeps it over a restart' "$before" "$(salt stranger)"

# md5 secrets and clear passwords, by the same look-up; the server is opened with what was proven.
stop_pgsteer
start_pgsteer "${query[@]}" --set auth.method=md5
equal 'md5: an md5 secret' old "$(login old 'old word')"
equal 'md5: who has a SCRAM secret is asked for SCRAM' app "$(login app 'new word')"
refused 'md5, wrong' old wrong
stop_pgsteer
start_pgsteer "${query[@]}" --set auth.method=password
equal 'password: of a SCRAM secret' app "$(login app 'new word')"
sleep 1.1
direct psql -X -q -c "alter role app password 'newest word'"
equal 'password: a rotated one is right at once' app "$(login app 'newest word')"
refused 'password, wrong' app wrong

# The server away: said so, not taken for a wrong password; and back.
server_stop
console reload >/dev/null
contains 'the server is away' 'could not be looked up at the server' "$(login app 'newest word')"
server_start
sleep 1.1
equal 'and back' app "$(login app 'newest word')"
equal 'PAUSE' PAUSE "$(console pause)"
sleep 0.2
equal 'closes the connection of the query' 0 "$(direct psql -XAt -c "select count(*) from pg_stat_activity where usename = 'keeper'")"
login app 'newest word' >"$WORK/waits" &
sleep 0.5
equal 'a login waits' '' "$(cat "$WORK/waits")"
equal 'RESUME' RESUME "$(console resume)"
wait $!
equal 'and goes on' app "$(cat "$WORK/waits")"
contains 'the log has what went wrong' event=auth_query_failed "$(cat "$WORK/pgsteer.log")"
stop_pgsteer

wrong() { contains "$1" "$2" "$("$PGSTEER" check --set auth.mode=terminate --set "auth.file=$WORK/users" "${@:3}" 2>&1)"; }
wrong 'query_user must be in auth.file' "auth.query_user: expected a user of auth.file" --set auth.query_user=app
wrong 'with a secret' 'auth.query_user' --set auth.query_user=shut
wrong 'the query has a parameter' 'auth.query: expected a query with $1' --set auth.query_user=keeper --set 'auth.query=select 1'
finish 50
