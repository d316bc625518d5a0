#!/bin/sh
# A single-node Apache Kafka for tests, on loopback, out of Java and Maven; everything it writes is in <clone>/.kafka.
#
#   kafka.sh start     fetch the jars (once), start, wait until it serves, print KAFKA_BROKERS=…; nothing if it runs
#   kafka.sh stop      end it and throw its data away
#   kafka.sh restart   end it and start it again on the same port and data
#   kafka.sh status    "running" or "stopped" (exit 1)
#   kafka.sh pid       print the running broker's process id (exit 1 if there is none)
#   kafka.sh env       print KAFKA_BROKERS=… of the running broker (exit 1 if there is none)
#
# Exit 69 if Java or Maven is missing, 1 if the broker does not start.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
home=$(cd "$here/../.." && pwd)/.kafka
libs=$home/libs
conf=$home/server.properties
log=$home/server.log
pid_file=$home/server.pid
cluster_id=bHl0aWNzLWJyYXplLXRlcw # any 16 bytes in base64
start_seconds_max=60

fail() {
    echo "kafka.sh: $1" >&2
    exit "${2:-1}"
}

# The broker's process id, if the process that start left behind is alive and still is our broker.
running_pid() {
    [ -f "$pid_file" ] || return 1
    pid=$(cat "$pid_file")
    kill -0 "$pid" 2>/dev/null || return 1
    # A process id may have been given to somebody else since.
    [ ! -r "/proc/$pid/cmdline" ] || tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$conf" || return 1
    echo "$pid"
}

print_env() {
    echo "KAFKA_BROKERS=$(sed -n 's,^advertised.listeners=PLAINTEXT://,,p' "$conf")"
}

find_java() {
    if [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/java" ]; then
        java=$JAVA_HOME/bin/java
    else
        java=$(command -v java) || fail "java is missing: apt-get install default-jre-headless maven" 69
    fi
}

fetch_jars() {
    wanted=$(cksum <"$here/pom.xml")
    [ "$(cat "$libs/.pom" 2>/dev/null)" != "$wanted" ] || return 0
    mvn=$(command -v mvn) || fail "maven is missing: apt-get install default-jre-headless maven" 69
    echo "kafka.sh: fetching Apache Kafka with Maven (once)" >&2
    rm -rf "$libs" "$libs.part"
    "$mvn" -B -q -f "$here/pom.xml" -Dmaven.repo.local="$home/m2" \
        dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$libs.part" >&2 ||
        fail "Maven could not fetch the jars"
    echo "$wanted" >"$libs.part/.pom"
    mv "$libs.part" "$libs"
}

# A port between 20000 and 29999 (below the ephemeral range) on which nobody listens.
free_port() {
    while :; do
        port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000))
        hex=$(printf ':%04X ' "$port")
        grep -qsF "$hex" /proc/net/tcp /proc/net/tcp6 || break
    done
    echo "$port"
}

write_conf() {
    port=$(free_port)
    controller_port=$(free_port)
    [ "$port" != "$controller_port" ] || return 1
    cat >"$conf" <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$home/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A heap of a laptop's size: small cleaner buffers, and small index files for the many topics of a test run.
log.cleaner.dedupe.buffer.size=16777216
# Tests wait for it.
log.cleaner.backoff.ms=1000
log.index.size.max.bytes=262144
CONF
}

# Starts the broker in the background; succeeds once it serves.
launch() {
    [ -f "$home/data/meta.properties" ] ||
        "$java" -cp "$libs/*" -Dlog4j2.configurationFile="$here/log4j2.properties" kafka.tools.StorageTool \
            format --cluster-id "$cluster_id" --config "$conf" >"$home/format.log" 2>&1 ||
        fail "the storage could not be formatted, see $home/format.log"
    : >"$log" # or an earlier run's last words would be taken for this one's
    # A session of its own where there is one, so that an interrupt at the terminal does not reach the broker.
    detach=$(command -v setsid) || detach=
    # shellcheck disable=SC2086 # empty or one word
    nohup $detach "$java" -Xms256m -Xmx512m -XX:+UseG1GC -cp "$libs/*" \
        -Dlog4j2.configurationFile="$here/log4j2.properties" kafka.Kafka "$conf" >"$log" 2>&1 </dev/null &
    echo $! >"$pid_file"
    waited=0
    # Kafka says so after every listener is open and the node has caught up with its own metadata.
    until grep -q "Kafka Server started" "$log"; do
        kill -0 "$!" 2>/dev/null || return 1
        [ "$waited" -lt "$start_seconds_max" ] || return 1
        sleep 1
        waited=$((waited + 1))
    done
}

halt() {
    pid=$(running_pid) || { rm -f "$pid_file"; return 0; }
    kill "$pid"
    waited=0
    while kill -0 "$pid" 2>/dev/null; do
        [ "$waited" -lt 20 ] || kill -9 "$pid" 2>/dev/null || :
        sleep 1
        waited=$((waited + 1))
    done
    rm -f "$pid_file"
}

start() {
    if running_pid >/dev/null; then
        print_env
        return
    fi
    find_java
    mkdir -p "$home"
    fetch_jars
    rm -rf "$home/data"
    for _ in 1 2 3; do # somebody may take a port between our look and Kafka's
        write_conf || continue
        if launch; then
            print_env
            return
        fi
        halt
        rm -rf "$home/data"
    done
    fail "the broker did not start, see $log"
}

case "${1:-}" in
start) start ;;
stop)
    halt
    rm -rf "$home/data"
    ;;
restart)
    running_pid >/dev/null || fail "the broker is not running"
    halt
    find_java
    launch || fail "the broker did not start again, see $log"
    print_env
    ;;
status)
    if running_pid >/dev/null; then echo running; else echo stopped; exit 1; fi
    ;;
pid) running_pid ;;
env)
    running_pid >/dev/null || fail "the broker is not running"
    print_env
    ;;
*) fail "usage: kafka.sh start|stop|restart|status|pid|env" 2 ;;
esac
