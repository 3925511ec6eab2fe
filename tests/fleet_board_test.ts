// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { FleetBoard, type ListedWorker } from "../_fleet_board.ts";

/** A board of workers that the test changes; a cell of a trace is 250 ms. */
function createBoard(...fleet: ListedWorker[]) {
  const board = new FleetBoard({ title: "title", fleet, timeout: 3_000 });
  return {
    board,
    fleet,
    names: (now: number) =>
      board.look(now).workers.map(({ worker, state }) => `${worker} ${state}`),
  };
}

Deno.test("FleetBoard lists the worst first, then by name", () => {
  const { names, board } = createBoard(
    { worker: "gone", state: "left" },
    { worker: "w10", state: "up" },
    { worker: "w9", state: "up" },
    { worker: "new", state: "expected" },
    { worker: "b", state: "down" },
    { worker: "a", state: "down" },
  );
  assertEquals(names(0), [
    "a down",
    "b down",
    "new expected",
    "w9 up",
    "w10 up",
    "gone left",
  ]);
  const { counts, title, now } = board.look(7);
  assertEquals(counts, { up: 2, down: 2, expected: 1, left: 1 });
  assertEquals([title, now], ["title", 7]);
});

Deno.test("FleetBoard draws the heartbeats between two looks", () => {
  const alpha: ListedWorker = {
    worker: "alpha",
    state: "up",
    lastSeen: 1_000,
    seq: 3,
  };
  const { board } = createBoard(alpha);
  const draw = (now: number) => board.look(now).drawTrace("alpha", 4);
  assertEquals(draw(1_000), "▁▁▁█", "it is there");
  assertEquals(draw(1_250), "▁▁█▁", "silence");
  alpha.lastSeen = 1_400;
  alpha.seq = 5;
  assertEquals(draw(1_500), "▁▅▁█", "two heartbeats");
  delete alpha.seq;
  alpha.lastSeen = 1_700;
  assertEquals(draw(1_750), "▅▁█▅", "one that is not counted");
  alpha.seq = 1;
  assertEquals(draw(2_000), "▁█▅▅", "it counts again");
  assertEquals(board.look(2_000).drawTrace("nobody", 4), "");
});

Deno.test("FleetBoard draws no heartbeat of a worker that was never seen", () => {
  const { board } = createBoard({ worker: "beta", state: "expected" });
  assertEquals(board.look(1_000).drawTrace("beta", 4), "▁▁▁▁");
});

Deno.test("FleetBoard forgets the trace of a worker that is not there", () => {
  const alpha: ListedWorker = { worker: "alpha", state: "up", lastSeen: 1 };
  const { board, fleet } = createBoard(alpha);
  board.look(1_000);
  fleet.pop();
  assertEquals(board.look(1_250).drawTrace("alpha", 4), "");
});

Deno.test("FleetBoard knows what happened last, and why nobody can be heard", () => {
  const { board } = createBoard();
  const look = () => [board.look(0).lastEvent, board.look(0).blind];
  assertEquals(look(), ["", undefined]);
  board.onEvent({ type: "blind", time: 0 }, "no connection", "12:00 blind");
  assertEquals(look(), ["12:00 blind", "no connection"]);
  board.onEvent({ type: "up", time: 0, worker: "alpha" }, "alpha");
  assertEquals(look(), ["alpha", "no connection"]);
  board.onEvent({ type: "sees", time: 0 }, "again");
  assertEquals(look(), ["again", undefined]);
});

Deno.test("FleetBoard knows 10,000 workers by name, the silent ones first", () => {
  const up = Array.from({ length: 10_000 }, (_, i): ListedWorker => ({
    worker: `worker-${i}`,
    state: "up",
  }));
  const { board } = createBoard(...up, { worker: "zeta", state: "down" });
  const { workers, counts } = board.look(0);
  assertEquals([workers.length, workers[0]!.worker], [10_000, "zeta"]);
  assertEquals(counts, { up: 10_000, down: 1, expected: 0, left: 0 });
});
