#!/bin/sh
# Fuzzes what reads bytes of others: tests/fuzz/run.sh BUILD_DIR SECONDS [inspect|suppressions...]
# Each for so many seconds; without names all of them. Seeds of the ELF reader (inspect): small
# libraries compiled here, and the real ones of GRADWATCH_TEST_LIBS (colon-separated).
# Fails when there is a finding; it is kept in BUILD_DIR, which also keeps the corpora.
set -eu

build=$1
seconds=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

compile() { # name sources and libraries...
	name=$1
	shift
	clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-D_GNU_SOURCE -I"$root/include" -I"$root/user" \
		"$here/fuzz_$name.c" "$@" -o "$build/fuzz_$name"
}

run() { # name corpus options...
	name=$1
	corpus=$2
	shift 2
	"$build/fuzz_$name" -max_total_time="$seconds" -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$build/findings/" "$@" "$corpus"
}

seed_library() { # name flags...
	name=$1
	shift
	gcc -shared -fPIC -nostdlib -s -O2 "$@" "$here/libc10.c" -o "$build/corpus/$name"
}

fuzz_inspect() {
	compile inspect "$root"/user/inspect/*.c "$root/user/base/str.c" -lelf -lcapstone
	mkdir -p "$build/corpus"
	seed_library keyed -DKEYED
	seed_library keyed-guarded -DKEYED -DGUARDED -fvisibility=hidden
	seed_library keyed-cet -DKEYED -fcf-protection=full
	seed_library keyed-desc -DKEYED -mtls-dialect=gnu2
	seed_library keyed-noplt -DKEYED -fno-plt -Wl,-z,now
	seed_library stack -DSTACK -DGUARDED
	seed_library stack-ie -DSTACK -ftls-model=initial-exec
	seed_library none
	head -c 64 "$build/corpus/none" >"$build/corpus/header"

	number=0
	old_ifs=$IFS
	IFS=:
	for library in ${GRADWATCH_TEST_LIBS:-}; do
		number=$((number + 1))
		cp "$library" "$build/corpus/real-$number"
	done
	IFS=$old_ifs
	run inspect "$build/corpus" -max_len=2000000 -timeout=20
}

fuzz_suppressions() {
	corpus=$build/corpus-suppressions
	compile suppressions "$root/user/model/suppressions.c" "$root/user/model/kinds.c" \
		"$root/user/base/str.c" "$root/user/base/err.c"
	mkdir -p "$corpus"
	printf '# why\n\nrotary  make_fx,export  */m.py  C.forward # x\nb all "a b" *\n' \
		>"$corpus/lines"
	printf 'a pre_dispatch "\\x41\\"\\\\[*]" [!a-z]*\na * ? [[:alpha:]]\n' >"$corpus/escapes"
	printf 'name\0/a b/[*]?.py\0f.<locals>.\303\251\377\n' >"$corpus/finding"
	run suppressions "$corpus" -max_len=10000 -timeout=5
}

"$root/tools/deps.sh" build fuzz
mkdir -p "$build/findings"
for target in "${@:-}"; do
	case $target in
	"")
		fuzz_inspect
		fuzz_suppressions
		;;
	inspect) fuzz_inspect ;;
	suppressions) fuzz_suppressions ;;
	*)
		echo "run.sh: no fuzz target '$target'" >&2
		exit 2
		;;
	esac
done
