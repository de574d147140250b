#!/bin/bash
# check-http <port> <path>: succeeds when this container answers 200. A health check that starts no interpreter.
exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3
read -r -t 4 _ status _ <&3
# Read to the end: a server takes a connection that is cut before for a failure.
while read -r -t 4 _ <&3; do :; done
[ "$status" = 200 ]
