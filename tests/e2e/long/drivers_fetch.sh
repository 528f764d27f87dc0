# Brings the drivers' suites into $DRIVERS and builds what needs building; source it. Nothing of them is committed. Interpreters' and
# Java packages come from Debian (unpacked there, not installed), npm's from its registry, the suites from GitHub at the commits below.
# Where GitHub is out of reach, put checkouts of these into $DRIVERS by hand.
DRIVERS=${DRIVERS:-$HOME/.cache/pgsteer/drivers}
mkdir -p "$DRIVERS"

REPOSITORIES='
node-postgres   brianc/node-postgres   c9e57617
postgres.js     porsager/postgres      v3.4.9
psycopg2        psycopg/psycopg2       3a6d9d6d
psycopg3        psycopg/psycopg        3.3.4
asyncpg         MagicStack/asyncpg     v0.30.0
pgjdbc          pgjdbc/pgjdbc          REL42.5.5'
# pgjdbc's own build needs Maven Central; Debian has that version's driver as a jar.
PYTHON_PACKAGES='python3-pytest python3-iniconfig python3-packaging python3-pluggy python3-attr python3-anyio python3-sniffio python3-idna
  python3-typing-extensions python3-uvloop cython3 python3-dateutil python3-six python3-setuptools python3-pkg-resources python3-dnspython'
JAVA_PACKAGES='junit5 junit4 libhamcrest-java libapiguardian-java libopentest4j-java libopentest4j-reporting-java libpicocli-java
  libunivocity-parsers-java libpostgresql-jdbc-java'
NODE_PACKAGES='pg-connection-string@2.14.0 pg-protocol@1.16.0 pg-types@2.2.0 pgpass@1.0.5 async@2.6.4 bluebird@3.7.2 co@4.6.0
  pg-copy-streams@0.3.0 expect.js@0.3.1 lodash@4 mocha@11.7.5 @types/chai@4 @types/mocha@10 @types/node@16 @types/pg@7 JSONStream@1.3.5
  concat-stream@1.0.1 stream-spec@0.3.5 ts-node@10 typescript@5.4'

checkout() { # suite
  local name repository commit
  [ -d "$DRIVERS/$1" ] && return
  read -r name repository commit < <(grep "^$1 " <<<"$REPOSITORIES")
  git clone -q "https://github.com/$repository" "$DRIVERS/$1.part" && git -C "$DRIVERS/$1.part" -c advice.detachedHead=false checkout -q "$commit" &&
    git -C "$DRIVERS/$1.part" submodule -q update --init && mv "$DRIVERS/$1.part" "$DRIVERS/$1"
}

debian() { # packages: unpacked into $DRIVERS/root
  local package
  mkdir -p "$DRIVERS/debs" "$DRIVERS/root"
  for package; do
    ls "$DRIVERS/debs/$package"_*.deb >/dev/null 2>&1 && continue
    (cd "$DRIVERS/debs" && apt-get -qq -o APT::Sandbox::User=root download "$package" && dpkg -x "$package"_*.deb ../root) || return 1
  done
}

build_python() {
  export PYTHONPATH=$DRIVERS/root/usr/lib/python3/dist-packages
  debian $PYTHON_PACKAGES || return 1
  case $1 in
    psycopg2) [ -d "$DRIVERS/psycopg2/build" ] || (cd "$DRIVERS/psycopg2" && "$PYTHON" setup.py -q build >/dev/null 2>&1) ;;
    asyncpg) ls "$DRIVERS/asyncpg/asyncpg/protocol/"protocol.*.so >/dev/null 2>&1 || (cd "$DRIVERS/asyncpg" && "$PYTHON" setup.py -q build_ext --inplace >/dev/null 2>&1) ;;
  esac
}

build_node_postgres() ( # its workspace needs yarn and much that its tests do not: the packages under test, linked to each other, will do
  [ -e "$DRIVERS/node-postgres/packages/pg-query-stream/dist/index.js" ] && return
  cd "$DRIVERS/node-postgres" && echo '{"private": true}' >package.json && rm -f yarn.lock || return 1
  npm install --no-audit --no-fund --no-progress --silent $NODE_PACKAGES || return 1
  for package in pg pg-pool pg-cursor pg-query-stream; do rm -rf "node_modules/$package" && ln -s "../packages/$package" "node_modules/$package"; done
  (cd packages/pg-query-stream && ../../node_modules/.bin/tsc)
)

build_pgjdbc() ( # without the tests of what Debian's jar or its libraries do not have
  [ -d "$DRIVERS/jdbc-classes/classes" ] && return
  debian $JAVA_PACKAGES && mkdir -p "$DRIVERS/jdbc-classes" && cd "$DRIVERS/jdbc-classes" || return 1
  stub=stub/org/checkerframework/checker/nullness/qual
  mkdir -p $stub
  echo 'package org.checkerframework.checker.nullness.qual; import java.lang.annotation.*; @Target({ElementType.TYPE_USE}) public @interface Nullable {}' >$stub/Nullable.java
  find stub ../pgjdbc/pgjdbc/src/test/java -name '*.java' ! -name '*TestSuite.java' | xargs grep -LE 'uk.org.webcompere|se.jiderhamn|org.osgi' >files
  javac -nowarn -proc:none -encoding UTF-8 -d classes -cp "$(find ../root/usr/share/java -name '*.jar' | tr '\n' ':')" @files >javac.log 2>&1
)

fetch_driver() { # suite
  checkout "$1" || { echo "$1: GitHub cannot be reached, and $DRIVERS/$1 is not there"; return 1; }
  case $1 in
    psycopg2 | psycopg3 | asyncpg) build_python "$1" ;;
    node-postgres) build_node_postgres ;;
    pgjdbc) build_pgjdbc ;;
  esac
}
