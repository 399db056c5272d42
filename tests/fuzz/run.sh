#!/bin/sh
# Fuzzes the ELF reader: tests/fuzz/run.sh BUILD_DIR SECONDS
# Seeds: small libraries compiled here, and the real ones of GRADWATCH_TEST_LIBS (colon-separated).
# Fails when there is a finding; it is kept in BUILD_DIR, which also keeps the corpus.
set -eu

build=$1
seconds=$2
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

"$root/tools/deps.sh" build fuzz
mkdir -p "$build/corpus" "$build/findings"

clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	-D_GNU_SOURCE -I"$root/include" -I"$root/user" \
	"$here/fuzz_inspect.c" "$root"/user/inspect/*.c "$root/user/base/str.c" \
	-o "$build/fuzz_inspect" -lelf -lcapstone

seed() { # name flags...
	name=$1
	shift
	gcc -shared -fPIC -nostdlib -s -O2 "$@" "$here/libc10.c" -o "$build/corpus/$name"
}
seed keyed -DKEYED
seed keyed-guarded -DKEYED -DGUARDED -fvisibility=hidden
seed keyed-cet -DKEYED -fcf-protection=full
seed keyed-desc -DKEYED -mtls-dialect=gnu2
seed keyed-noplt -DKEYED -fno-plt -Wl,-z,now
seed stack -DSTACK -DGUARDED
seed stack-ie -DSTACK -ftls-model=initial-exec
seed none
head -c 64 "$build/corpus/none" >"$build/corpus/header"

number=0
old_ifs=$IFS
IFS=:
for library in ${GRADWATCH_TEST_LIBS:-}; do
	number=$((number + 1))
	cp "$library" "$build/corpus/real-$number"
done
IFS=$old_ifs

"$build/fuzz_inspect" -max_total_time="$seconds" -max_len=2000000 -timeout=20 -rss_limit_mb=2048 \
	-print_final_stats=1 -artifact_prefix="$build/findings/" "$build/corpus"
