export interface Stop {
  name: string;
  latitude: number;
  longitude: number;
  minutes: number;
}

export interface Leg {
  from: Stop;
  to: Stop;
  kilometres: number;
}

const EARTH_RADIUS = 6371;

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}

export function distance(a: Stop, b: Stop): number {
  const height = radians(b.latitude - a.latitude);
  const width = radians(b.longitude - a.longitude);
  const slope =
    Math.sin(height / 2) ** 2 +
    Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * Math.sin(width / 2) ** 2;
  return 2 * EARTH_RADIUS * Math.asin(Math.sqrt(slope));
}

export function legs(stops: Stop[]): Leg[] {
  const result: Leg[] = [];
  for (let index = 1; index < stops.length; index++) {
    const from = stops[index - 1];
    const to = stops[index];
    result.push({ from, to, kilometres: distance(from, to) });
  }
  return result;
}

export function length(stops: Stop[]): number {
  return legs(stops).reduce((total, leg) => total + leg.kilometres, 0);
}

export function nearest(origin: Stop, candidates: Stop[]): Stop | undefined {
  let best: Stop | undefined;
  let shortest = Infinity;
  for (const candidate of candidates) {
    const kilometres = distance(origin, candidate);
    if (kilometres < shortest) {
      shortest = kilometres;
      best = candidate;
    }
  }
  return best;
}

export function greedy(start: Stop, stops: Stop[]): Stop[] {
  const route = [start];
  const open = new Set(stops);
  let current = start;
  while (open.size > 0) {
    const next = nearest(current, [...open]);
    if (next === undefined) {
      break;
    }
    open.delete(next);
    route.push(next);
    current = next;
  }
  return route;
}

export function improve(route: Stop[]): Stop[] {
  let best = [...route];
  let improved = true;
  while (improved) {
    improved = false;
    for (let i = 1; i < best.length - 1; i++) {
      for (let k = i + 1; k < best.length; k++) {
        const middle = best.slice(i, k + 1).reverse();
        const changed = [...best.slice(0, i), ...middle, ...best.slice(k + 1)];
        if (length(changed) < length(best)) {
          best = changed;
          improved = true;
        }
      }
    }
  }
  return best;
}

export function timetable(route: Stop[], speed: number): Map<string, number> {
  const times = new Map<string, number>();
  let minutes = 0;
  for (const leg of legs(route)) {
    minutes += (leg.kilometres / speed) * 60;
    times.set(leg.to.name, Math.round(minutes));
    minutes += leg.to.minutes;
  }
  return times;
}
