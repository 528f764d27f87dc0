#!/bin/bash
# TLS on both sides with real psql and certificates made here: every mode, certificates that do not fit, client certificates, channel
# binding, direct TLS, a reload with new certificates, and bytes sent ahead of the handshake, which must never be honoured.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to compare with'
command -v openssl >/dev/null || skip 'no openssl'

authority() { # name
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -keyout "$WORK/$1.key" -out "$WORK/$1.crt" 2>/dev/null
}
certificate() { # file authority common-name [subject alternative name]
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$3" -keyout "$WORK/$1.key" -out "$WORK/$1.csr" 2>/dev/null
  openssl x509 -req -in "$WORK/$1.csr" -CA "$WORK/$2.crt" -CAkey "$WORK/$2.key" -set_serial "0x$(openssl rand -hex 8)" -days 2 -sha256 \
    -extfile <(echo "${4:-basicConstraints=CA:FALSE}") -out "$WORK/$1.crt" 2>/dev/null
  chmod 600 "$WORK/$1.key"
}
authority ours; authority theirs
certificate front ours localhost 'subjectAltName=DNS:localhost,IP:127.0.0.1'
certificate elsewhere ours elsewhere 'subjectAltName=DNS:elsewhere'
certificate client-postgres ours postgres
certificate client-other ours other
certificate client-forged theirs postgres
certificate back ours localhost 'subjectAltName=DNS:localhost,IP:127.0.0.1'
install -m 600 "$WORK/back.key" "$WORK/server.key"
[ "$(id -u)" = 0 ] && chown nobody "$WORK/server.key"
start_postgres "ssl = on
ssl_cert_file = '$WORK/back.crt'
ssl_key_file = '$WORK/server.key'
password_encryption = scram-sha-256" 'local all all trust
hostssl all bound 127.0.0.1/32 scram-sha-256
hostssl all secured 127.0.0.1/32 trust
hostnossl all secured 127.0.0.1/32 reject
host all all 127.0.0.1/32 trust'
PGHOST=$PG_DATA PGPORT=$DIRECT_PORT psql -X -q -c "create role bound login password 'tied'" -c 'create role secured login' -c 'create role other login' || exit 1

front=(--set "tls.certificate_file=$WORK/front.crt" --set "tls.key_file=$WORK/front.key")
with() { # "libpq words" psql-arguments...
  local words=$1; shift
  psql -X -A -t "host=localhost hostaddr=127.0.0.1 port=$PROXY_PORT user=postgres dbname=postgres $words" "$@" 2>&1
}
own_server() { # what the server says of its connection to pgsteer
  with "$1" -c "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
}
client_column() { console 'show clients' | awk -F'|' '$3 == "postgres" { print $17 }' | sort -u; }

start_pgsteer "${front[@]}" --set tls.mode=allow
equal 'allow: a plain client' 1 "$(with sslmode=disable -c 'select 1')"
contains 'allow: an encrypted one' 'SSL connection (protocol: TLSv1.3' "$(with sslmode=require -c '\conninfo')"
equal 'TLS 1.2' 1 "$(with 'sslmode=require ssl_max_protocol_version=TLSv1.2' -c 'select 1')"
contains 'TLS 1.1 is refused' 'SSL error' "$(with 'sslmode=require ssl_min_protocol_version=TLSv1.1 ssl_max_protocol_version=TLSv1.1' -c 'select 1')"
equal 'verify-full: the certificate and its name' 1 "$(with "sslmode=verify-full sslrootcert=$WORK/ours.crt" -c 'select 1')"
contains 'verify-ca by another authority' 'certificate verify failed' "$(with "sslmode=verify-ca sslrootcert=$WORK/theirs.crt" -c 'select 1')"
equal 'a result of 20 MB' '20|20000000' "$(with sslmode=require -c "select count(*), sum(length(repeat('x', 1000000))) from generate_series(1, 20)")"
sum=$(with sslmode=require -c "select repeat('0123456789', 1000000)" | md5sum)
equal 'byte for byte' "$(PGHOST=$PG_DATA PGPORT=$DIRECT_PORT psql -XAtc "select repeat('0123456789', 1000000)" | md5sum)" "$sum"
equal 'COPY to the server' 300000 "$(seq 1 300000 | with sslmode=require -q -c 'create table copied (i int)' -c '\copy copied from stdin' -c 'select count(*) from copied' | tail -1)"
with sslmode=require -c 'select pg_sleep(2)' >/dev/null &
sleep 0.6
contains 'SHOW CLIENTS names the cipher' 'TLSv1.3/' "$(client_column)"
wait $!
check 'pgbench over TLS' env PGSSLMODE=require PGPORT="$PROXY_PORT" pgbench -n -f <(echo 'select 1;') -M prepared -c 8 -j 2 -T 1
cancelled() { # a job in the background would ignore SIGINT
  timeout -s INT 1 psql -XAt "host=localhost hostaddr=127.0.0.1 port=$PROXY_PORT user=postgres dbname=postgres sslmode=require" -c 'select pg_sleep(20)' 2>&1 |
    grep -o 'canceling statement due to user request'
}
equal 'Ctrl-C in an encrypted psql' 'canceling statement due to user request' "$(cancelled)"
largest_record() { # kB of the largest TLS record that a result of 1 MB comes in: a client that reads by readiness may be left waiting within a large one
  python3 - "$PROXY_PORT" <<'PY'
import socket, ssl, struct, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
connection.sendall(struct.pack("!II", 8, 80877103))
assert connection.recv(1) == b"S"
tls, seen = context.wrap_bio(incoming, outgoing), b""


def step(act):
    global seen
    while True:
        try:
            return act()
        except ssl.SSLWantReadError:
            connection.sendall(outgoing.read())
            data = connection.recv(65536)
            seen += data
            incoming.write(data)


step(tls.do_handshake)
body = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
text = b"select repeat('x', 1000000)\0"
tls.write(struct.pack("!I", len(body) + 4) + body + b"Q" + struct.pack("!I", len(text) + 4) + text)
got = b""
while got.count(b"Z\0\0\0\5I") < 2:
    got += step(lambda: tls.read(65536))
largest = at = 0
while at + 5 <= len(seen):
    length = struct.unpack("!H", seen[at + 3:at + 5])[0]
    largest, at = max(largest, length), at + 5 + length
print(largest // 1024)
PY
}
equal 'TLS records of 8 kB' 8 "$(largest_record)"
raw() { # what each trick comes to
  python3 - "$E2E" "$PROXY_PORT" "$WORK/ours.crt" <<'PY'
import socket, ssl, struct, sys
port = int(sys.argv[2])
startup = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
startup = struct.pack("!I", len(startup) + 4) + startup
request, gssenc = struct.pack("!II", 8, 80877103), struct.pack("!II", 8, 80877104)
context = ssl.create_default_context(cafile=sys.argv[3])


def connect():
    return socket.create_connection(("127.0.0.1", port), 5)


def everything(s):
    got = b""
    try:
        while True:
            part = s.recv(4096)
            if not part:
                return got
            got += part
    except OSError:
        return got


def query(s):
    s.sendall(startup + b"Q" + struct.pack("!I", 13) + b"select 7\0")
    got = b""
    while got.count(b"Z\0\0\0\5I") < 2:
        part = s.recv(4096)
        if not part:
            return "closed"
        got += part
    return "answered" if b"SELECT 1" in got else "no answer"


s = connect()  # a startup packet smuggled in ahead of the handshake
s.sendall(request + startup)
s.settimeout(5)
got = everything(s)
print("startup ahead of TLS:", "honoured" if b"R\0\0\0\x08" in got else "ended")
s = connect()
s.sendall(request)
assert s.recv(1) == b"S"
s.sendall(startup)  # plain where TLS was agreed upon
print("plain after S:", "honoured" if b"R\0\0\0\x08" in everything(s) else "ended")
s = connect()
s.sendall(gssenc)
assert s.recv(1) == b"N"
s.sendall(request)
assert s.recv(1) == b"S"
print("TLS after GSSENC:", query(context.wrap_socket(s, server_hostname="localhost")))
s = connect()
s.sendall(request)
assert s.recv(1) == b"S"
s = context.wrap_socket(s, server_hostname="localhost")
s.sendall(request)
print("SSLRequest inside of TLS:", "C0A000" if b"C0A000" in everything(s) else "taken")
direct = ssl.create_default_context(cafile=sys.argv[3])
direct.set_alpn_protocols(["postgresql"])
print("direct TLS:", query(direct.wrap_socket(connect(), server_hostname="localhost")))
direct = ssl.create_default_context(cafile=sys.argv[3])
try:
    s = direct.wrap_socket(connect(), server_hostname="localhost")
    s.sendall(startup)
    print("direct TLS without ALPN:", "honoured" if b"R\0\0\0\x08" in everything(s) else "ended")
except OSError:
    print("direct TLS without ALPN: ended")
direct.set_alpn_protocols(["http/1.1"])
try:
    direct.wrap_socket(connect(), server_hostname="localhost")
    print("another ALPN: taken")
except OSError:
    print("another ALPN: ended")
PY
}
resets() { # clients that end with RST in place of a goodbye, some in the middle of a result
  "$PYTHON" - "$PROXY_PORT" <<'PY'
import socket, ssl, struct, sys, time
startup = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
context = ssl._create_unverified_context()
for n in range(12):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
    s.sendall(struct.pack("!II", 8, 80877103))
    assert s.recv(1) == b"S"
    s = context.wrap_socket(s)
    s.sendall(struct.pack("!I", len(startup) + 4) + startup)
    got = b""
    while b"Z\0\0\0\5I" not in got:
        got += s.recv(4096)
    if n % 2:
        query = b"select repeat('x', 1000000) from generate_series(1, 9)\0"
        s.sendall(b"Q" + struct.pack("!I", len(query) + 4) + query)
        s.recv(100)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
time.sleep(0.5)
PY
}
equal 'tricks with the handshake' 'startup ahead of TLS: ended
plain after S: ended
TLS after GSSENC: answered
SSLRequest inside of TLS: C0A000
direct TLS: answered
direct TLS without ALPN: ended
another ALPN: ended' "$(raw)"
check 'clients that are gone without a word' resets
# A shell may have been told to ignore SIGPIPE, and hands that on: then this shows nothing.
check 'end nobody but themselves' kill -0 "$PGSTEER_PID"

serial() { openssl s_client -connect "127.0.0.1:$PROXY_PORT" -starttls postgres </dev/null 2>/dev/null | openssl x509 -noout -serial; }
before=$(serial)
certificate front ours localhost 'subjectAltName=DNS:localhost,IP:127.0.0.1'
equal 'a new certificate waits for RELOAD' "$before" "$(serial)"
equal 'RELOAD' RELOAD "$(console reload)"
[ "$(serial)" != "$before" ] && pass 'and is shown then' || fail 'the old certificate is still shown'
install -m 600 "$WORK/client-other.key" "$WORK/front.key"
contains 'a key that does not fit is refused' 'tls.key_file' "$(console reload)"
equal 'and the old pair stays' 1 "$(with "sslmode=verify-full sslrootcert=$WORK/ours.crt" -c 'select 1')"
certificate front ours localhost 'subjectAltName=DNS:localhost,IP:127.0.0.1'
stop_pgsteer

HTTP_PORT=$(free_port)
start_pgsteer "${front[@]}" --set tls.mode=require --set http.port="$HTTP_PORT"
contains 'require: a plain client' 'TLS is required' "$(with sslmode=disable -c 'select 1')"
equal 'require: an encrypted one' 1 "$(with sslmode=prefer -c 'select 1')"
with "sslmode=verify-ca sslrootcert=$WORK/theirs.crt" -c 'select 1' >/dev/null
metrics=$(curl -s "http://127.0.0.1:$HTTP_PORT/metrics")
contains 'handshakes that were done are counted' 'pgsteer_tls_handshakes_total{peer="client",result="done"} 1' "$metrics"
contains 'and those that failed' 'pgsteer_tls_handshakes_total{peer="client",result="failed"} 1' "$metrics"
equal 'and the end of the certificate is told' "$(date -d "$(openssl x509 -in "$WORK/front.crt" -noout -enddate | cut -d= -f2)" +%s)" \
  "$(awk '/^pgsteer_tls_certificate_expiry_timestamp_seconds/ { printf "%.0f", $2 }' <<<"$metrics")"
stop_pgsteer
start_pgsteer "${front[@]}" --set tls.mode=verify-full --set "tls.client_ca_file=$WORK/ours.crt"
pair() { echo "sslmode=require sslcert=$WORK/$1.crt sslkey=$WORK/$1.key"; }
equal 'verify-full: a certificate with its name' 1 "$(with "$(pair client-postgres)" -c 'select 1')"
contains 'with another name' 'certificate authentication failed for user "postgres"' "$(with "$(pair client-other)" -c 'select 1')"
contains 'of another authority' 'alert' "$(with "$(pair client-forged)" -c 'select 1')"
contains 'without one' 'certificate required' "$(with sslmode=require -c 'select 1')"
stop_pgsteer

upstream() { # words of the URL's query
  stop_pgsteer
  UPSTREAM_URL="postgresql://$1" start_pgsteer "${@:2}"
}
at="localhost:$DIRECT_PORT/postgres"
upstream "$at";                                                             equal 'without sslmode the server is spoken to in plain' 'f|' "$(own_server sslmode=disable)"
upstream "$at?sslmode=require";                                             equal 'sslmode=require' 't|TLSv1.3' "$(own_server sslmode=disable)"
equal 'a role that the server lets in by TLS alone' secured "$(with 'sslmode=disable user=secured' -c 'select current_user')"
upstream "$at?sslmode=prefer";                                              equal 'sslmode=prefer' 't|TLSv1.3' "$(own_server sslmode=disable)"
upstream "$at?sslmode=verify-ca&sslrootcert=$WORK/ours.crt";                equal 'sslmode=verify-ca' 't|TLSv1.3' "$(own_server sslmode=disable)"
upstream "$at?sslmode=verify-full&sslrootcert=$WORK/ours.crt";              equal 'sslmode=verify-full' 't|TLSv1.3' "$(own_server sslmode=disable)"
upstream "127.0.0.1:$DIRECT_PORT?sslmode=verify-full&sslrootcert=$WORK/ours.crt"; equal 'verify-full, by address' 't|TLSv1.3' "$(own_server sslmode=disable)"
upstream "$at?sslmode=verify-ca&sslrootcert=$WORK/theirs.crt";              contains 'another authority' 'issuer certificate' "$(own_server sslmode=disable)"
stop_pgsteer
contains 'verify-full without authorities' 'needs sslrootcert' "$("$PGSTEER" run --upstream "postgresql://$at?sslmode=verify-full" 2>&1 | head -3)"
server_stop
sed -i "s|back.crt|elsewhere.crt|" "$PG_DATA/postgresql.conf"
install -m 600 "$WORK/elsewhere.key" "$WORK/server.key"; [ "$(id -u)" = 0 ] && chown nobody "$WORK/server.key"
server_start
upstream "$at?sslmode=verify-full&sslrootcert=$WORK/ours.crt";              contains 'another name' 'ostname mismatch' "$(own_server sslmode=disable)"
upstream "$at?sslmode=verify-ca&sslrootcert=$WORK/ours.crt";                equal 'which verify-ca does not look at' 't|TLSv1.3' "$(own_server sslmode=disable)"

# Both sides, logins here: SCRAM-SHA-256-PLUS from the client and to the server.
printf '"bound" "tied"\n"postgres" ""\n' >"$WORK/users"; chmod 600 "$WORK/users"
upstream "$at?sslmode=require" "${front[@]}" --set tls.mode=allow --set auth.mode=terminate --set "auth.file=$WORK/users" --set pool.mode=transaction
PGPASSWORD=tied
export PGPASSWORD
equal 'channel_binding=require' bound "$(with 'user=bound sslmode=require channel_binding=require' -c 'select current_user')"
equal 'channel_binding=disable' bound "$(with 'user=bound sslmode=require channel_binding=disable' -c 'select current_user')"
contains 'it needs TLS' 'channel binding required' "$(with 'user=bound sslmode=disable channel_binding=require' -c 'select 1')"
upstream "$at?sslmode=disable" "${front[@]}" --set tls.mode=require --set "tls.client_ca_file=$WORK/ours.crt" --set auth.mode=terminate --set auth.method=cert --set "auth.file=$WORK/users"
equal 'auth.method = cert' 1 "$(with "$(pair client-postgres)" -c 'select 1')"
contains 'cert: another name' 'certificate authentication failed' "$(with "$(pair client-other)" -c 'select 1')"
contains 'cert: none' 'requires a valid client certificate' "$(with sslmode=require -c 'select 1')"
stop_pgsteer
server_stop
sed -i 's/^ssl = on/ssl = off/' "$PG_DATA/postgresql.conf"
server_start
upstream "$at?sslmode=require"; contains 'require where the server has no TLS' 'server does not support SSL, but SSL was required' "$(own_server sslmode=disable)"
upstream "$at?sslmode=prefer";  equal 'prefer where the server has no TLS' 'f|' "$(own_server sslmode=disable)"
finish 46
