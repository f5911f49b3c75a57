// Copyright 2026 the lazyinit authors. MIT license.

/**
 * The answers of the server, from whichever cities it is given.
 *
 * @module
 */

import { agentId } from "../../mod.ts";
import { type Cities, findNearest } from "./cities.ts";

/** Where a worker has its cities from. */
export interface Source {
  /** Resolves with what `reader` makes of the cities, which are whole all the while. */
  read<R>(reader: (cities: Cities) => R): Promise<R>;
  /** Builds them anew. */
  reload(): Promise<void>;
}

/** What `/` shows. */
export interface Status {
  readonly cities: number;
  /** The worker that has built the index, and how long that took. */
  readonly builder: number;
  readonly milliseconds: number;
  /** The worker that answers. */
  readonly worker: number;
  /** The memory of the whole process. */
  readonly residentBytes: number;
}

/** Returns a handler of requests. */
export function respondFrom(
  source: Source,
): (request: Request) => Promise<Response> {
  return async ({ method, url }) => {
    const { pathname, searchParams } = new URL(url);
    switch (`${method} ${pathname}`) {
      case "GET /": {
        const status = await source.read(
          ({ index, builder, milliseconds }): Status => ({
            cities: index.numItems,
            builder,
            milliseconds,
            worker: agentId(),
            residentBytes: Deno.memoryUsage().rss,
          }),
        );
        return Response.json(status);
      }

      case "GET /nearest": {
        const latitude = degrees(searchParams.get("lat"), 90);
        const longitude = degrees(searchParams.get("lng"), 180);
        if (latitude === undefined || longitude === undefined) {
          return Response.json({
            error:
              "'lat' must be a number from -90 to 90 and 'lng' from -180 to 180",
          }, { status: 400 });
        }
        return Response.json(
          await source.read((cities) =>
            findNearest(cities, latitude, longitude)
          ),
        );
      }

      case "POST /reload":
        await source.reload();
        return new Response(null, { status: 204 });

      default:
        return Response.json({
          error:
            "There is GET /, GET /nearest?lat=48.86&lng=2.35 and POST /reload",
        }, { status: 404 });
    }
  };
}

function degrees(text: string | null, max: number): number | undefined {
  if (text === null || text.trim() === "") return undefined;
  const number = Number(text);
  return Math.abs(number) <= max ? number : undefined;
}
