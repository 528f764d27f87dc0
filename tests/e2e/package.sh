#!/bin/bash
# The Debian package: built by cpack, unpacked (not installed), and what is in it works.
. "$(dirname "$0")/lib.sh"
BUILD=$(cd "$(dirname "$PGSTEER")" && pwd)
[ -f "$BUILD/CPackConfig.cmake" ] || skip "no CPackConfig.cmake in $BUILD"
command -v dpkg-deb >/dev/null || skip "no dpkg-deb"
(cd "$BUILD" && cmake --build . --target man) >"$WORK/man.log" 2>&1 || fail "manual pages" "$(tail -5 "$WORK/man.log")"
cpack --config "$BUILD/CPackConfig.cmake" -B "$WORK/package" >"$WORK/cpack.log" 2>&1
deb=$(ls "$WORK"/package/*.deb 2>/dev/null)
[ -n "$deb" ] && pass "cpack makes $(basename "$deb"), $(du -k "$deb" | cut -f1) KiB" || { fail "cpack" "$(tail -20 "$WORK/cpack.log")"; finish; }
files=$(dpkg-deb -c "$deb" | awk '{print $6}')
for file in ./usr/bin/pgsteer ./etc/pgsteer/pgsteer.toml ./etc/pgsteer/policies/default.toml ./lib/systemd/system/pgsteer.service ./lib/systemd/system/pgsteer.socket \
  ./usr/share/man/man1/pgsteer.1 ./usr/share/man/man1/pgsteer-ctl.1 ./usr/lib/sysusers.d/pgsteer.conf ./usr/share/doc/pgsteer/README.md; do
  contains "holds $file" "$file" "$files"
done
contains 'depends on the libraries it was linked with' 'libstdc++6' "$(dpkg-deb -f "$deb" Depends)"
contains 'configuration survives an upgrade' '/etc/pgsteer/policies/default.toml' "$(dpkg-deb --ctrl-tarfile "$deb" | tar -xO ./conffiles)"
root=$WORK/root
dpkg-deb -x "$deb" "$root"
contains 'the program in it runs' 'pgsteer ' "$("$root/usr/bin/pgsteer" --version)"
check 'the configuration in it is right' "$root/usr/bin/pgsteer" check --config "$root/etc/pgsteer/pgsteer.toml" --policies "$root/etc/pgsteer/policies"
for script in postinst prerm postrm; do check "$script is a shell script" sh -n "$E2E/../../conf/packaging/$script"; done
if command -v groff >/dev/null; then
  for page in "$root"/usr/share/man/man1/*.1; do
    equal "$(basename "$page"): groff has nothing to say" '' "$(groff -man -Tutf8 -ww -z "$page" 2>&1)"
  done
fi
unit=$WORK/pgsteer.service
sed "s#/usr/bin/pgsteer#$root/usr/bin/pgsteer#" "$root/lib/systemd/system/pgsteer.service" >"$unit"
if command -v systemd-analyze >/dev/null; then
  equal 'the unit: systemd-analyze verify has nothing to say' '' "$(systemd-analyze verify --man=no "$unit" 2>&1 | grep "$(basename "$unit")")"
  exposure=$(systemd-analyze security --offline=true "$unit" 2>/dev/null | sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p')
  [ -n "$exposure" ] && { awk "BEGIN { exit !($exposure <= 2.5) }" && pass "the unit is hardened: exposure $exposure of 10" || fail "the unit: exposure $exposure, wanted 2.5 at most"; }
fi
# The image and the example: what they copy and name is there, and the example's settings are settings.
while read -r what; do check "Dockerfile: $what is there" test -e "$E2E/../../$what"; done < <(sed -n 's/^COPY \([^-. ][^ ]*\) .*/\1/p' "$E2E/../../conf/docker/Dockerfile")
settings=$(sed -n 's/^ *\(PGSTEER_[A-Z_]*\): \(.*\)/\1=\2/p' "$E2E/../../conf/docker/compose.yaml")
check 'compose.yaml: its settings are known' env $settings "$PGSTEER" check --set http.port=0
finish 16
