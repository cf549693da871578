/** How often something is done, whatever the rate of the events that ask for it. */

/**
 * A function that asks for `task`: done at once, then at most every so many milliseconds, never twice at a time, and
 * always once more after the last request.
 * @param {() => (void|Promise<void>)} task that handles its own errors
 * @param {number} every milliseconds
 * @returns {{request: () => void, stop: () => void}}
 */
export function paced(task, every) {
  let wanted = false;
  let resting = false; // at work, or waiting for the time to be over
  let timer;

  async function start() {
    wanted = false;
    resting = true;
    await task();
    timer = setTimeout(() => {
      resting = false;
      if (wanted) start();
    }, every);
  }

  return {
    request() {
      wanted = true;
      if (!resting) start();
    },
    stop() {
      resting = true;
      clearTimeout(timer);
    },
  };
}
