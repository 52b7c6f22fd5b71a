// Tries one change after the other, as its parent names them, and answers what the tests said: null when they noticed nothing.

import { pathToFileURL } from 'node:url';

const [bundle] = process.argv.slice(2);
// Stryker's switches read the active change from here.
const switches = { activeMutant: undefined };
globalThis.__stryker__ = switches;
process.on('unhandledRejection', () => {});

process.on('message', async (id) => {
  switches.activeMutant = id === 'none' ? undefined : id;
  let said;
  try {
    const { failures } = await import(`${pathToFileURL(bundle).href}?change=${id}`);
    said = await failures();
  } catch (error) {
    said = String(error);
  }
  process.send(said);
});
