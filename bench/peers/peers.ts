// Copyright 2026 the heartbeat authors. MIT license.

import { deadline } from "./deadline.ts";
import { effect } from "./effect.ts";
import { heartbeat } from "./heartbeat.ts";
import { ix } from "./ix.ts";
import { pTimeout } from "./p_timeout.ts";
import type { Peer } from "./peer.ts";
import { rxjs } from "./rxjs.ts";
import { undici } from "./undici.ts";

export const peers: Peer[] = [
  heartbeat,
  rxjs,
  effect,
  ix,
  pTimeout,
  deadline,
  undici,
];
