// Where the browsers are on this machine, by the names that Debian and others give their programs. A browser that is
// not there has a reason instead, for the test that is skipped.
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export const NAMES = /** @type {const} */ (['chromium', 'firefox', 'webkit']);
/** @typedef {typeof NAMES[number]} Name */

const PROGRAMS = {
  chromium: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome', '/Applications/Chromium.app/Contents/MacOS/Chromium'],
  firefox: ['firefox-esr', 'firefox', '/Applications/Firefox.app/Contents/MacOS/firefox'],
};

/** @param {string} name */
function program(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'];
  const places = name.includes('/') ? [name] : folders.map((folder) => join(folder, name));
  return places.find((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

// MiniBrowser lies beside WebKit's other processes: /usr/lib/TRIPLET/webkit2gtk-4.1/, or libexec elsewhere.
function miniBrowser() {
  const roots = ['/usr/libexec', '/usr/lib', ...['x86_64', 'aarch64'].map((cpu) => `/usr/lib/${cpu}-linux-gnu`)];
  for (const root of roots.filter((folder) => existsSync(folder)))
    for (const folder of readdirSync(root).filter((name) => name.startsWith('webkit')).sort().reverse()) {
      const found = program(join(root, folder, 'MiniBrowser'));
      if (found) return found;
    }
  return undefined;
}

/**
 * @param {Name} name
 * @returns {{ programs: Record<string, string>, missing?: undefined } | { missing: string, programs?: undefined }}
 */
export function find(name) {
  const wanted = name === 'webkit'
    ? { browser: miniBrowser(), driver: program('WebKitWebDriver'), Xvfb: program('Xvfb') }
    : { browser: PROGRAMS[name].map(program).find(Boolean) };
  const missing = Object.entries(wanted).filter(([, found]) => !found).map(([what]) => what);
  if (missing.length > 0) return { missing: `no ${name} on this machine (${missing.join(', ')})` };
  return { programs: /** @type {Record<string, string>} */ (wanted) };
}
