/**
 * How many items may be put into the lane, so that it never runs dry and yet hardly any of them wait there: what waits
 * in the lane is in front of everybody who comes later.
 */
export interface LaneRoom {
  /** Told what waits in the lane; gives how many more may. */
  roomFor(waiting: number): number;
}

const least = 16;
const most = 512;

/** Aims at what the lane takes between two looks: twice as much when it was found empty, slowly less when it was not. */
export function createLaneRoom(): LaneRoom {
  let aim = least;
  return {
    roomFor(waiting) {
      if (waiting === 0) aim = Math.min(most, aim * 2);
      else if (waiting > aim / 2) aim = Math.max(least, Math.floor(aim * 0.8));
      return Math.max(0, aim - waiting);
    },
  };
}
