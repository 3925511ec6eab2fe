// Copyright 2026 the heartbeat authors. MIT license.

import config from "./deno.json" with { type: "json" };

/** Printed by `--version`. */
export const VERSION = `heartbeat ${config.version}\n`;

/** Printed by `--help`. */
export const HELP =
  `heartbeat ${config.version}: know when async work hangs, not just when it fails

Usage:
  heartbeat [OPTIONS]                     the demo: a worker, its heartbeats, and their monitor
  heartbeat [OPTIONS] -- COMMAND [ARG…]   run a command, end it when it prints nothing for too long
  heartbeat [OPTIONS] -                   pass standard input on, fail when nothing comes for too long;
                                          the producer is not ended, so where you can, use
                                          heartbeat -- PRODUCER | consumer
  heartbeat fleet --nats URL [OPTIONS]    watch the heartbeats that others publish: a live table in a
                                          terminal (q quits), otherwise a line for each event
  heartbeat check URL|FILE [OPTIONS]      find out whether a URL answers, or a file was modified lately:
                                          exits with 0 or 1, as the probes of containers expect

Limits and lines:
  --timeout DURATION    the longest silence (demo, fleet: 3s, check: 5s, otherwise: 10m);
                        0 or none: no limit
  --runtime DURATION    the longest run (demo: 10s, otherwise: none); 0 or none: no limit
  --quiet               demo, fleet: only alarms and the summary; check: nothing;
                        otherwise: no notices, only errors
  --json                one JSON object a line: the lines of the demo and of the fleet,
                        otherwise the notices on standard error
  --help, --version     print this, or the version

Signs of life of a command or a pipe:
  --grep REGEX          only lines that match are signs of life; all are passed on
  --alive-if cpu|FILE   a command, besides its output: the CPU time that it and its children use,
                        or a change of a file (needs --allow-read)
  --tty                 a command: run it in a terminal, as many programs print in large blocks
                        otherwise; its two outputs become one (Linux, by 'script' of util-linux)

Restarts of a command (the demo takes --retries only):
  --retries N           restart what went silent, at most N times (if not given: 0, and
                        with --restart no limit)
  --restart WHEN        never, on-stall, on-failure (after a stall, too) or always (after an exit
                        with 0, too); without it, --retries means on-stall
  --within DURATION     count only the restarts within that time (none: all of them)
  --backoff MIN..MAX    wait before a restart: MIN at first, then twice as long each time, up to
                        MAX, such as 1s..1m; by default some 100ms to 30s, at random

Reports on a command or a pipe:
  --stats               at the end, the longest silence, and a --timeout for it
  --summary             at the end, that and the exit code, the duration and the restarts
  --notices FILE        append the notices to a file instead of standard error, with the time of
                        each; errors are written to both (needs --allow-write)
  --ping URL            ping a dead man's switch at the start, while there are signs of life, and
                        at the end with the exit code, as healthchecks.io understands it
                        (needs --allow-net); no ping delays or fails anything
  --ping-every DURATION the least time between two pings (1m)
  --ping-plain          another service: only GETs of the URL, at the end only after success
  --health [HOST:]PORT  a command, the demo: serve /livez, /readyz, /metrics and a live page
                        (needs --allow-net); on this machine only, unless HOST says more

NATS, for a command (publish its heartbeats) and for the fleet:
  --nats URL[,URL…]     the server, such as localhost:4222, or several of a cluster
  --name NAME           a command: what to publish as; required with --nats
  --subject SUBJECT     a command: where, before .NAME (heartbeats);
                        the fleet: what to watch (heartbeats.>)
  --exec COMMAND        the fleet: a shell command for each event, which finds it in
                        HEARTBEAT_TYPE, HEARTBEAT_WORKER and HEARTBEAT_EVENT (JSON)
  --group NAME          the fleet: share it with the other watchers of this name, and remember
                        it over a restart (needs JetStream: nats-server -js)
  --once                the fleet: listen for a --timeout, print one table (with --json a line for
                        each worker), exit with 0 if somebody is up and nobody is down, else 1
  --blind-above SHARE   the fleet: if more than this share of at least 10 workers is silent at
                        once, say so and report nobody for a while (0.5); 0 or none: never
  --creds FILE          credentials; or NATS_CREDS, NATS_TOKEN, NATS_USER and NATS_PASSWORD
                        in the environment
  --tls-ca, --tls-cert, --tls-key FILE    certificates, if the server asks for them

The demo:
  --interval DURATION   the time between two heartbeats (1s)
  --work DURATION       the time that one result takes (500ms)
  --hang-after N        hang after N results, once
  --cpu                 in a thread, and hang in a busy loop (needs --allow-read)

  What is ended for its silence, its runtime or by a signal has 5s to stop, then
  it is killed. SIGHUP, SIGUSR1 and SIGUSR2 are passed on to the command, which
  decides what they mean: heartbeat goes on until it ends.
  A DURATION is 250ms, 3s, 1.5m, 1h, 1m30s or 2d.

Exit codes:
  0        the input ended, the demo ended; otherwise the command's own code,
           with restarts that of its last run
  1        check: it is not alive; fleet --once: somebody is down, nobody is up,
           or nobody can be heard
  2        bad usage (check: 125, as probes reserve 2)
  124      ended for its silence or its runtime
  125      heartbeat itself failed, or lost the NATS server for good
  126      the command cannot be run
  127      the command was not found
  128 + n  ended by signal n, such as 130 for SIGINT (a second one ends at once)
           and 141 for SIGPIPE (nobody reads the output any more)
`;
