// Asks again and again for what a view shows, while somebody looks at it.

// load: async () => what show is called with. An answer is dropped if another one was asked for
// since: it may be older than what was done meanwhile, or of another filter. What goes wrong is
// told in `problem`. rests: () => true while it should not be asked.
// => {again: asks at once, close}
export function poll(load, show, {every, problem, rests = () => false}) {
  let turn = 0, timer = null, closed = false;

  async function again() {
    clearTimeout(timer);
    const mine = ++turn;
    const isOld = () => closed || mine !== turn;
    try {
      const value = await load();
      if (isOld()) return;
      show(value);
      problem.textContent = "";
    } catch (error) {
      if (isOld()) return;
      problem.textContent = error.message;
    }
    timer = setTimeout(tick, every);
  }

  function tick() {
    document.hidden || rests() ? timer = setTimeout(tick, 1000) : again();
  }

  again();
  return {again, close() { closed = true; clearTimeout(timer); }};
}
