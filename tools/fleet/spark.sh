#!/bin/sh
# A standalone Spark cluster on this machine: a master and two workers.
#   tools/fleet/spark.sh start DIR PYTHON    prints the master's address; PYTHON has pyspark
#   tools/fleet/spark.sh stop DIR
# In DIR are their logs, and a file NAME.pid for each.
set -eu

usage() { echo "spark: use: spark.sh start DIR PYTHON | spark.sh stop DIR" >&2; exit 2; }

stop() {
	for file in "$dir"/*.pid; do
		[ -e "$file" ] || continue
		kill "$(cat "$file")" 2>/dev/null || true
		rm -f "$file"
	done
}

daemon() { # NAME CLASS ARGUMENTS...
	name=$1
	class=$2
	shift 2
	SPARK_WORKER_DIR=$dir/work SPARK_LOCAL_IP=127.0.0.1 SPARK_DAEMON_MEMORY=256m SPARK_NO_DAEMONIZE=1 \
		setsid "$SPARK_HOME/bin/spark-class" "org.apache.spark.deploy.$class" "$@" \
		>"$dir/$name.log" 2>&1 </dev/null &
	echo $! >"$dir/$name.pid"
}

wait_for() { # NAME WORDS: until the log of NAME has them; prints the line
	for _ in $(seq 600); do
		grep -m 1 "$2" "$dir/$1.log" && return
		kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null || break
		sleep 0.2
	done
	echo "spark: $1 has not started; its log is $dir/$1.log" >&2
	stop
	exit 1
}

[ $# -ge 2 ] || usage
dir=$2
case $1 in
start)
	[ $# -eq 3 ] || usage
	mkdir -p "$dir"
	dir=$(cd "$dir" && pwd)
	SPARK_HOME=$("$3" -c 'import os, pyspark; print(os.path.dirname(pyspark.__file__))')
	export SPARK_HOME PYSPARK_PYTHON="$3"
	daemon master master.Master --host 127.0.0.1 --port 0 --webui-port 0
	address=$(wait_for master 'Starting Spark master at' | sed 's/.* at //')
	for worker in worker1 worker2; do
		daemon "$worker" worker.Worker --host 127.0.0.1 --cores 1 --memory 1536M \
			--webui-port 0 "$address"
	done
	for worker in worker1 worker2; do
		wait_for "$worker" 'Successfully registered with master' >/dev/null
	done
	echo "$address"
	;;
stop) stop ;;
*) usage ;;
esac
