// How the small servers beside this live: on loopback, in one process, until their stdin closes.

export function fail(message, hint) {
  console.error(`error: ${message}\nhint: ${hint}`);
  process.exit(1);
}

/** A package that scripts/install put beside this. */
export async function load(name) {
  try {
    return await import(name);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    return fail(error.message, 'scripts/install servers');
  }
}

/** Listens on a free port of this machine, which it returns. */
export async function listen(server) {
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return server.address().port;
}

// Nobody reads what packages tell after the one line.
console.log = console.info = console.debug = console.error;

/** Tells the caller in one line, then stays. */
export function ready(said) {
  process.stdout.write(`${JSON.stringify(said)}\n`);
  const end = () => process.exit(0);
  process.stdin.on('end', end).on('error', end).resume();
}
