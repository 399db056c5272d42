#!/bin/sh
# The report's page for C: page.sh FOLDER OUT.h defines PAGE_HEAD and PAGE_TAIL, what is before and
# behind the data. Style and script are put into the page, and their hashes into its policy: nothing
# else is applied or run.
set -eu

from=$1
out=$2

hash_of() {
	sha256sum < "$1" | cut -c 1-64 | tr a-f A-F | basenc --base16 -d | base64
}

# On standard input the page; what @NAME@ stands for.
fill() {
	awk -v from="$from" -v style="$(hash_of "$from/page.css")" \
		-v script="$(hash_of "$from/page.js")" '
		function insert(name,  line) {
			while ((getline line < (from "/" name)) > 0)
				print line
		}
		function replace(what, value,  at) {
			at = index($0, what)
			if (at)
				$0 = substr($0, 1, at - 1) value substr($0, at + length(what))
		}
		{
			replace("@STYLE_HASH@", style)
			replace("@SCRIPT_HASH@", script)
		}
		/@STYLE@/ { printf "<style>"; insert("page.css"); print "</style>"; next }
		/@SCRIPT@/ { printf "<script>"; insert("page.js"); print "</script>"; next }
		{ print }'
}

# A macro of this name that is a string of standard input.
as_macro() {
	echo "#define $1 \\"
	sed -e 's/[\\"]/\\&/g' -e 's/\t/\\t/g' -e 's/.*/"&\\n" \\/'
	echo '""'
}

! grep -qi '</script' "$from/page.js" || { echo "page.sh: page.js has </script" >&2; exit 1; }
mkdir -p "$(dirname "$out")"
# The line of the data becomes two: the data is between these.
fill < "$from/page.html" | awk -v head="$out.head" -v tail="$out.tail" '
	/@DATA@/ {
		print substr($0, 1, index($0, "@DATA@") - 1) > head
		print substr($0, index($0, "@DATA@") + 6) > tail
		behind = 1
		next
	}
	{ print > (behind ? tail : head) }'
{
	as_macro PAGE_HEAD < "$out.head"
	as_macro PAGE_TAIL < "$out.tail"
} > "$out"
rm -f "$out.head" "$out.tail"
