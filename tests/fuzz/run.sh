#!/bin/sh
# Fuzzes what reads bytes of others: tests/fuzz/run.sh BUILD_DIR SECONDS [inspect|binding|suppressions|records|inputs|log|report...]
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
	clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -fno-sanitize=vptr \
		-D_GNU_SOURCE -I"$root/include" -I"$root/user" -I"$build" \
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
	${COMPILER:-gcc} -shared -fPIC -nostdlib -s -O2 "$@" "$here/libc10.c" \
		-o "$build/corpus/$name"
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
	COMPILER=aarch64-linux-gnu-gcc
	seed_library arm64-keyed -DKEYED -DGUARDED
	seed_library arm64-keyed-pac -DKEYED -mbranch-protection=standard
	seed_library arm64-stack -DSTACK -DGUARDED -mtls-dialect=trad
	COMPILER=
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

fuzz_binding() {
	corpus=$build/corpus-binding
	compile binding "$root"/user/inspect/*.c "$root/user/base/str.c" -lelf -lcapstone
	mkdir -p "$corpus"
	gcc -shared -fPIC -nostdlib -s -O2 -DFUNCTION=setter "$here/methods.c" -o "$corpus/relative"
	gcc -shared -fPIC -nostdlib -s -O2 -DFUNCTION=0 -fcf-protection=full "$here/methods.c" \
		-o "$corpus/stored"
	run binding "$corpus" -max_len=2000000 -timeout=20
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

# Records that the model accepts: a code object, events of all types that refer to it, a session.
record_seeds() {
	python3 - "$1" <<'END'
import struct, sys

ABI, IN_PROCESS, FRAMES = 2, (1, 1, 1, 1, 0, 0), 1


def header(kind, body):
    return struct.pack("<HHIQQ", kind, ABI, 24 + len(body), 5, 0) + body


def event(kind, before, after):
    state = struct.pack("<4B3I2Q16s", before, after, 1, 0, FRAMES, kind == 6, 0, 99, 4096, b"x")
    body = struct.pack("<5Q6I", 7, 4096, 9, 1, 1, *IN_PROCESS) + state
    return header(kind, body + struct.pack("<QiI", 3, 2, 0))


def code(name, version=0x30B, lines=b"\x80\0\xf0\1\2"):
    texts = b"/a/m.py".ljust(256, b"\0") + name.ljust(256, b"\0")
    sizes = struct.pack("<Q5IHHBB6x", 3, 1, 4, version, len(lines), len(lines), 7, len(name), 1, 1)
    return header(3, sizes + texts + lines)


def session(end):
    times = struct.pack("<14Q", 7, 4096, 8192, 1, 9, 5, 6, 7, end and 8, 3, 3, 2, 1, 0)
    return times + struct.pack("<6I5B3x16s", *IN_PROCESS, 1, end, 0, 1, 0, b"x")


def pieces(*parts):
    return b"".join(struct.pack("<HB", len(part) + 1, kind) + part for kind, part in parts)


every = [event(kind, 1, 0) for kind in (2, 6, 1, 4, 5)] + [event(1, 0, 1)]
seeds = {
    "records": pieces((0, code(b"f")), *((0, one) for one in every)),
    "sessions": pieces((2, session(0)), *((1, session(0) + one) for one in every), (2, session(1))),
    "tables": pieces(*((0, code(b"f", 0x300 + minor)) for minor in range(9, 15)), (0, every[0])),
    "hidden": pieces((0, code(b"__init__")), (0, every[1])),
}
for name, seed in seeds.items():
    with open(f"{sys.argv[1]}/{name}", "wb") as file:
        file.write(seed)
END
}

fuzz_records() {
	corpus=$build/corpus-records
	compile records "$root"/user/model/*.c "$root"/user/base/*.c "$root"/user/output/*.c \
		"$root"/user/log/[!hilpr]*.c -ljansson -lzstd -lxxhash
	mkdir -p "$corpus"
	record_seeds "$corpus"
	run records "$corpus" -max_len=20000 -timeout=5
}

fuzz_inputs() {
	corpus=$build/corpus-inputs
	set -- "$root"/user/model/*.c "$root"/user/base/*.c "$root"/user/output/*.c \
		"$root"/user/log/[!hilpr]*.c -ljansson -lzstd -lxxhash
	compile inputs "$@"
	gcc -O1 -D_GNU_SOURCE -I"$root/include" -I"$root/user" "$here/input_seeds.c" "$@" \
		-o "$build/input_seeds"
	mkdir -p "$corpus"
	"$build/input_seeds" "$corpus"
	run inputs "$corpus" -max_len=60000 -timeout=10
}

# Segments of two records, a file of --json, and all of these compressed.
log_seeds() {
	python3 - "$1" <<'END'
import sys

sys.path.insert(0, "tests/e2e")
import logs

lines = [
    '{"v":2,"type":"header","host":"a","run_id":"0123456789abcdef","segment":1,"seq":0',
    '{"v":2,"type":"finding","torch":{"file":null},"stack":[{"line":1}],"x":-1.5e3,"seq":1',
    '{"v":2,"type":"close","reason":"end","types":{"finding":1},"seq":2',
]
whole = "".join(f'{line},"crc":"{logs.crc32c(line.encode()):08x}"}}\n' for line in lines)
plain = '{"v":2,"type":"start"}\n\n{"v":3,"type":"x","\\u00e4":[]}\n{"v":2,"type":"end"}\n'
for name, text in (("segment", whole), ("cut", whole[:-30]), ("json", plain)):
    with open(f"{sys.argv[1]}/{name}", "w") as file:
        file.write(text)
END
	for name in segment json; do
		zstd -qf --check "$1/$name" -o "$1/$name.zst"
		cat "$1/$name.zst" "$1/$name.zst" >"$1/$name.twice"
		gzip -c "$1/$name" >"$1/$name.gz"
	done
}

fuzz_log() {
	corpus=$build/corpus-log
	compile log "$root"/user/log/*.c "$root"/user/log/parse.cc "$root"/user/base/*.c \
		-ljansson -lzstd -lz -lsimdjson -lxxhash -lstdc++
	mkdir -p "$corpus"
	log_seeds "$corpus"
	run log "$corpus" -max_len=20000 -timeout=10
}

# What a report is made of: the golden logs' records of each type, with short stacks, and the words
# of records for the mutator.
report_seeds() {
	python3 - "$1" "$2" <<'END'
import json
import pathlib
import sys

words = set()
for path in sorted(pathlib.Path("tests/logs").glob("*.jsonl")):
    lines, seen = [], {}
    for line in path.read_text().splitlines():
        record = json.loads(line)
        del record["seq"], record["crc"]
        words.update(f'"{key}":' for key in record)
        words.update(f'"{value}"' for value in record.values() if isinstance(value, str))
        seen[record["type"]] = seen.get(record["type"], 0) + 1
        if seen[record["type"]] > 3:
            continue
        record["stack"] = record.get("stack", [])[:2]
        record["ns_pid"] = 3
        lines.append(json.dumps(record, separators=(",", ":"), ensure_ascii=False))
    parts = {"whole": lines, "findings": [text for text in lines if '"finding"' in text]}
    for name, part in parts.items():
        for options in (0, 1, 7, 8, 16):
            with open(f"{sys.argv[1]}/{path.stem}-{name}-{options}", "w") as file:
                file.write(chr(options) + "\n".join(part if options & 1 else part[1:]) + "\n")
words = sorted(word for word in words if len(word) < 40 and word.isascii() and "\\" not in word)
words += ["\\u0000", "\\u001b", "\\u202e", "\\ud800", "</script>", "null", "-1", "1e99"]
words += ["18446744073709551615", "9223372036854775808", "[]", "{}", "true", "fp1:", "\n{"]
with open(sys.argv[2], "w") as file:
    for word in words:
        text = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\x0a")
        file.write(f'"{text}"\n')
END
}

fuzz_report() {
	corpus=$build/corpus-report
	"$root/tools/page.sh" "$root/user/report/page" "$build/page_text.h"
	compile report "$root"/user/report/*.c "$root"/user/log/*.c "$root/user/log/parse.cc" \
		"$root"/user/model/*.c "$root"/user/output/*.c "$root"/user/base/*.c \
		-ljansson -lzstd -lz -lsimdjson -lxxhash -lstdc++
	mkdir -p "$corpus"
	report_seeds "$corpus" "$build/report.dict"
	run report "$corpus" -max_len=12000 -timeout=10 -dict="$build/report.dict"
}

"$root/tools/deps.sh" build test fuzz
mkdir -p "$build/findings"
for target in "${@:-}"; do
	case $target in
	"")
		fuzz_inspect
		fuzz_binding
		fuzz_suppressions
		fuzz_records
		fuzz_inputs
		fuzz_log
		fuzz_report
		;;
	inspect) fuzz_inspect ;;
	binding) fuzz_binding ;;
	suppressions) fuzz_suppressions ;;
	records) fuzz_records ;;
	inputs) fuzz_inputs ;;
	log) fuzz_log ;;
	report) fuzz_report ;;
	*)
		echo "run.sh: no fuzz target '$target'" >&2
		exit 2
		;;
	esac
done
