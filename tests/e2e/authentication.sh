#!/bin/bash
# Authentication is the server's: trust, password, md5, scram-sha-256, reject, and everything that can go wrong gives the same SQLSTATE
# and the same words as directly.
. "$(dirname "$0")/lib.sh"
start_postgres "password_encryption = 'scram-sha-256'" "local all postgres trust
host all postgres 127.0.0.1/32 trust
host all u_trust 127.0.0.1/32 trust
host all u_password 127.0.0.1/32 password
host all u_md5 127.0.0.1/32 md5
host all u_scram 127.0.0.1/32 scram-sha-256
host all u_md5_on_scram 127.0.0.1/32 md5
host all u_reject 127.0.0.1/32 reject
host all u_limited 127.0.0.1/32 trust
host replication postgres 127.0.0.1/32 trust"
start_pgsteer
direct psql -X -q -v ON_ERROR_STOP=1 <<'SQL' || exit 1
create role u_trust login;
create role u_password login password 'clear text';
set password_encryption = 'md5';
create role u_md5 login password 'md5 word';
set password_encryption = 'scram-sha-256';
create role u_scram login password 'scram wörd ✓';
create role u_md5_on_scram login password 'scram';
create role u_reject login;
create role u_limited login connection limit 0;
create role u_nologin;
create role u_expired login password 'x' valid until '2000-01-01';
SQL
login() { # user password [database]
  PGUSER=$1 PGPASSWORD=$2 psql -X -A -t -d "${3:-postgres}" -w -c 'select current_user, session_user, inet_client_addr()' -c 'show is_superuser'
}
works() { contains "$1: it is that user" "$2|$2|127.0.0.1" "$(PGPORT=$PROXY_PORT login "$2" "$3")"; same "$1: the same as direct" login "$2" "$3"; }
works trust u_trust ''
works password u_password 'clear text'
works md5 u_md5 'md5 word'
works scram-sha-256 u_scram 'scram wörd ✓'
works 'md5 in pg_hba, a SCRAM secret' u_md5_on_scram scram
for user in u_password u_md5 u_scram u_md5_on_scram; do
  same "$user with a wrong password" login $user wrong
  contains "$user with a wrong password: the server's words" "password authentication failed for user \"$user\"" "$(PGPORT=$PROXY_PORT login $user wrong 2>&1)"
  same "$user without a password" login $user ''
done
same 'a role that does not exist' login nobody_knows x
same 'a role that pg_hba rejects' login u_reject x
same 'a role that pg_hba does not name' login u_expired x
same 'a role without connections' login u_limited x
same 'a role that may not log in' login u_nologin x
same 'a database that does not exist' login u_trust '' nothere
same 'a database name with odd characters' login u_trust '' "we ird'\"db"
same 'sslmode=require against a server without TLS' env PGSSLMODE=require psql -X -c 'select 1'
same 'gssencmode=require' env PGGSSENCMODE=require psql -X -c 'select 1'
same 'channel_binding=require' env PGCHANNELBINDING=require PGUSER=u_scram PGPASSWORD='scram wörd ✓' psql -X -w -c 'select 1'
same 'options in the startup packet' env PGOPTIONS='-c search_path=pg_catalog -c geqo=off' psql -X -A -t -c 'show search_path' -c 'show geqo'
same 'options that are wrong' env PGOPTIONS='-c no_such_setting=1' psql -X -c 'select 1'
same 'replication connections' psql -X -A -t 'dbname=postgres replication=database' -c 'show wal_level'
states() { # SQLSTATE of each failure, from the bytes themselves
  python3 - "$E2E" <<'PY'
import os, sys
sys.path.insert(0, sys.argv[1])
from wire import Wire, Failed
for user, password, database in [("u_password", "wrong", "postgres"), ("u_password", "clear text", "postgres"), ("nobody_knows", None, "postgres"),
                                 ("u_trust", None, "nothere"), ("u_reject", None, "postgres"), ("u_limited", None, "postgres"), ("", None, "postgres")]:
    try:
        wire = Wire(int(os.environ["PGPORT"])).login(user=user, database=database, password=password)
        print(user, database, "in")
    except Failed as failed:
        f = failed.args[0]
        print(user, database, f.get("S"), f.get("C"), f.get("M"))
PY
}
same 'SQLSTATE and message of every failure' states
finish 35
